"""A container's environment: what its spec says, what ConfigMaps and Secrets hold, and what the pod knows of itself."""

import base64
import os
from collections.abc import Mapping
from typing import Any

from runbook_lib.sandbox.cluster.client import Api, Object, RefusedByServerError, path_of
from runbook_lib.sandbox.cluster.kinds import Kind, kind

CONFIG_MAPS, SECRETS = kind("configmaps"), kind("secrets")
KEPT = ("PATH", "LANG", "HOME", "VIRTUAL_ENV", "PYTHONPATH")


class Missing(Exception):  # noqa: N818 - it is what it is called: something that is not there
    """A ConfigMap, Secret or key that a container wants; the text is the kubelet's."""


async def environment(api: Api, pod: Object, container: Object, address: str) -> dict[str, str]:
    """All variables of a container. Raises Missing."""
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    found |= {"HOSTNAME": pod["metadata"]["name"], "POD_IP": address, "PYTHONUNBUFFERED": "1"}
    for source in container.get("envFrom") or []:
        of, reference = (CONFIG_MAPS, "configMapRef") if "configMapRef" in source else (SECRETS, "secretRef")
        data = await _data(api, of, pod, source[reference])
        found |= {f"{source.get('prefix', '')}{name}": value for name, value in data.items()}
    for variable in container.get("env") or []:
        value = variable.get("value", "")
        if "valueFrom" in variable:
            value = await _value(api, pod, container, variable["valueFrom"], address)
        if value is not None:
            found[variable["name"]] = _expanded(value, found)
    return found


async def _value(api: Api, pod: Object, container: Object, source: Object, address: str) -> str | None:
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        return address if path == "status.podIP" else _field(pod, path)
    if "resourceFieldRef" in source:
        kind_of, _, name = source["resourceFieldRef"]["resource"].partition(".")
        return str((container.get("resources") or {}).get(kind_of, {}).get(name, "0"))
    of, reference = (CONFIG_MAPS, "configMapKeyRef") if "configMapKeyRef" in source else (SECRETS, "secretKeyRef")
    wanted = source[reference]
    data = await _data(api, of, pod, wanted)
    if wanted["key"] in data:
        return data[wanted["key"]]
    if wanted.get("optional"):
        return None
    place = f"{pod['metadata']['namespace']}/{wanted['name']}"
    raise Missing(f"couldn't find key {wanted['key']} in {of.kind} {place}")


def _field(pod: Object, path: str) -> str:
    value: Any = pod
    name, _, key = path.partition("[")
    for part in name.split("."):
        value = (value or {}).get(part)
    if key:
        value = (value or {}).get(key.strip("']\""))
    return "" if value is None else str(value)


async def _data(api: Api, of: Kind, pod: Object, reference: Object) -> Mapping[str, str]:
    try:
        item = await api.call("GET", path_of(of, pod["metadata"]["namespace"], reference["name"]))
    except RefusedByServerError as error:
        if error.code != 404:
            raise
        if reference.get("optional"):
            return {}
        raise Missing(f'{of.kind.lower()} "{reference["name"]}" not found') from error
    data = item.get("data") or {}
    if of is SECRETS:
        return {name: base64.b64decode(value).decode("utf-8", "replace") for name, value in data.items()}
    return dict(data)


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """`$(NAME)` of what stands before it; `$$` is a dollar."""
    for name, text in known.items():
        value = value.replace(f"$({name})", text)
    return value.replace("$$", "$")
