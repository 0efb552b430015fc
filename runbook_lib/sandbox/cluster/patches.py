"""Patches: JSON patch, merge patch, and the strategic one that knows by which key the items of a list are the same."""

import copy
from collections.abc import Mapping
from typing import Any

import jsonpatch
import orjson
import yaml

from runbook_lib.sandbox.cluster.status import bad_request, unsupported_media

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY)

# `patchMergeKey` of the API's own types, by the name of the list; `ports` hangs on whose ports they are.
MERGE_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "containerStatuses": (),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port"),
    "conditions": ("type",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
    "hostAliases": ("ip",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
    "taints": (),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey",),
    "addresses": ("type",),
}
PRIMITIVE_SETS = ("finalizers",)
DIRECTIVE = "$patch"


def patched(before: Mapping[str, Any], body: bytes, content_type: str) -> dict[str, Any]:
    """The object after the patch. Raises ApiError for one that cannot be read or does not fit."""
    if content_type not in TYPES:
        raise unsupported_media(content_type, TYPES)
    patch = _read(body, content_type)
    present = copy.deepcopy(dict(before))
    if content_type == JSON_PATCH:
        try:
            result: dict[str, Any] = jsonpatch.JsonPatch(patch).apply(present)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
            raise bad_request(f"the server rejected our request due to an error in our request: {error}") from error
        return result
    if not isinstance(patch, dict):
        raise bad_request("a patch of this type is an object")
    return _merge(present, patch, strategic=content_type != MERGE_PATCH)


def _read(body: bytes, content_type: str) -> Any:
    try:
        return yaml.safe_load(body) if content_type == APPLY else orjson.loads(body)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"error decoding patch: {error}") from error


def _merge(present: dict[str, Any], patch: Mapping[str, Any], *, strategic: bool) -> dict[str, Any]:
    if strategic and patch.get(DIRECTIVE) == "replace":
        return {key: value for key, value in patch.items() if key != DIRECTIVE}
    kept = patch.get("$retainKeys") if strategic else None
    if kept is not None:
        present = {key: value for key, value in present.items() if key in kept}
    for key, value in patch.items():
        if strategic and key.startswith("$"):
            _directive(present, key, value)
        elif value is None or (strategic and isinstance(value, dict) and value.get(DIRECTIVE) == "delete"):
            present.pop(key, None)
        elif isinstance(value, dict):
            before = present.get(key)
            present[key] = _merge(before if isinstance(before, dict) else {}, value, strategic=strategic)
        elif strategic and isinstance(value, list):
            present[key] = _merge_list(key, present.get(key) or [], value)
        else:
            present[key] = value
    return present


def _directive(present: dict[str, Any], key: str, value: Any) -> None:
    name, _, field = key.partition("/")
    if name == "$deleteFromPrimitiveList":
        present[field] = [item for item in present.get(field) or [] if item not in value]
    elif name == "$setElementOrder" and isinstance(present.get(field), list):
        place = {_identity(field, item): n for n, item in enumerate(value)}
        last = len(place)
        present[field].sort(key=lambda item: place.get(_identity(field, item), last))


def _identity(field: str, item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    key = _merge_key(field, [item])
    return item.get(key) if key else None


def _merge_key(field: str, items: list[Any]) -> str | None:
    objects = [item for item in items if isinstance(item, dict) and item.get(DIRECTIVE) != "replace"]
    return next((k for k in MERGE_KEYS.get(field, ()) if objects and all(k in o for o in objects)), None)


def _merge_list(field: str, present: list[Any], patch: list[Any]) -> list[Any]:
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and DIRECTIVE in item)]
    if field in PRIMITIVE_SETS:
        return [*present, *(item for item in patch if item not in present)]
    key = _merge_key(field, patch)
    if key is None:
        return patch
    merged = list(present)
    for item in patch:
        place = next((n for n, old in enumerate(merged) if old.get(key) == item[key]), None)
        if item.get(DIRECTIVE) == "delete":
            if place is not None:
                del merged[place]
        elif place is None:
            merged.append(_merge({}, item, strategic=True))
        else:
            merged[place] = _merge(dict(merged[place]), item, strategic=True)
    return merged
