"""Writes a cluster down as it is, for `load`: every kind that can be listed, and the end of every container's log."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox.cluster.client import Api, Object, RefusedByServerError
from runbook_lib.sandbox.cluster.logs import log_file
from runbook_lib.sandbox.cluster.status import ApiError

PAGE = 500
LOG_LINES = 2000
LOG_BYTES = 2 << 20
AT_ONCE = 8
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(slots=True)
class Saved:
    """What was written: `objects` by kind, `logs` files; `refused` is what we may not read, or could not."""

    folder: str
    objects: dict[str, int] = field(default_factory=dict)
    logs: int = 0
    refused: list[str] = field(default_factory=list)


def save(folder: Path, kubeconfig: Path, context: str = "") -> Saved:
    """Writes `RESOURCE.GROUP.json` and `logs/NAMESPACE/POD/CONTAINER.log`; the values of Secrets are left out.

    Raises:
        UsageError: the folder is not empty, or the kubeconfig cannot be used.
        SandboxError: the cluster does not answer.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty: choose a new folder")
    try:
        api = Api(kubeconfig, context)
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise UsageError(f"kubeconfig {kubeconfig} cannot be used: {type(error).__name__}: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return asyncio.run(_save(folder, api))
    except (httpx.HTTPError, RefusedByServerError) as error:
        raise SandboxError(f"the cluster at {api.client.base_url} cannot be read: {error}") from error


async def _save(folder: Path, api: Api) -> Saved:
    saved = Saved(str(folder))
    pods: list[Object] = []
    async with api.client:
        for place, resource in [found async for found in _resources(api)]:
            try:
                items = await _items(api, place, resource)
            except RefusedByServerError as error:
                saved.refused.append(f"{resource['name']}: {error}")
                continue
            if items:
                _write(
                    folder / f"{resource['name']}.{place.split('/')[-2] if '/apis/' in place else 'core'}.json", items
                )
                saved.objects[resource["kind"]] = len(items)
            pods += items if (place, resource["name"]) == ("/api/v1", "pods") else []
        await _logs(folder / "logs", api, pods, saved)
    return saved


async def _resources(api: Api) -> Any:
    """(path of the group and version, resource) of all that can be listed, each group in its preferred version."""
    groups = await api.call("GET", "/apis")
    places = ["/api/v1", *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in groups["groups"])]
    for place in places:
        for resource in (await api.call("GET", place))["resources"]:
            if "list" in resource["verbs"] and "/" not in resource["name"]:
                yield place, resource


async def _items(api: Api, place: str, resource: Object) -> list[Object]:
    found: list[Object] = []
    version, token = place.removeprefix("/apis/").removeprefix("/api/"), ""
    while True:
        page = await api.call("GET", f"{place}/{resource['name']}", None, **_page(token))
        found += [
            _clean(resource["kind"], {"kind": resource["kind"], "apiVersion": version, **i}) for i in page["items"]
        ]
        token = page["metadata"].get("continue") or ""
        if not token:
            return found


def _page(token: str) -> dict[str, Any]:
    return {"limit": PAGE, "continue": token}


def _clean(kind: str, item: Object) -> Object:
    """Without what nobody reads, and without what nobody may."""
    item["metadata"].pop("managedFields", None)
    if kind == "Secret":
        item["metadata"].get("annotations", {}).pop(APPLIED, None)
        for name in ("data", "stringData"):
            if item.get(name):
                item[name] = dict.fromkeys(item[name], "")
    return item


def _write(path: Path, items: list[Object]) -> None:
    path.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}, indent=1) + "\n")


async def _logs(folder: Path, api: Api, pods: list[Object], saved: Saved) -> None:
    """The last lines of every container, and of its run before where it was restarted; a few at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(pod: Object, container: str, *, previous: bool) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        options: dict[str, Any] = {"container": container, "timestamps": "true"}
        options |= {"tailLines": LOG_LINES, "limitBytes": LOG_BYTES} | ({"previous": "true"} if previous else {})
        try:
            path = log_file(folder, namespace, name, f"{container}{'.previous' * previous}.log")
        except ApiError as error:
            saved.refused.append(str(error))
            return
        async with turn:
            answer = await api.client.get(f"/api/v1/namespaces/{namespace}/pods/{name}/log", params=options)
        if answer.status_code == 200 and answer.content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(answer.content)
            saved.logs += 1
        elif answer.status_code != 200:
            saved.refused.append(f"log of {namespace}/{name}/{container}: {_words(answer)}")

    async with asyncio.TaskGroup() as tasks:
        for pod in pods:
            for container, previous in _runs(pod):
                tasks.create_task(one(pod, container, previous=previous))


def _runs(pod: Object) -> Iterator[tuple[str, bool]]:
    """Each container that has run, and whether the run before is meant."""
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        if container.get("state", {}).get("running") or container.get("state", {}).get("terminated"):
            yield container["name"], False
        if container.get("restartCount"):
            yield container["name"], True


def _words(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}"
