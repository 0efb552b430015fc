"""What clients ask before they ask anything: versions, groups, resources, and the schemas of OpenAPI v3."""

import hashlib
import importlib
import re
from typing import Any

import orjson

from runbook_lib.sandbox.cluster.kinds import Kind, Registry

VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+runbook-sandbox",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2025-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "python",
}
SUB_KINDS = {
    "scale": ("Scale", "autoscaling", "v1", ["get", "patch", "update"]),
    "eviction": ("Eviction", "policy", "v1", ["create"]),
    "binding": ("Binding", "", "v1", ["create"]),
    "token": ("TokenRequest", "authentication.k8s.io", "v1", ["create"]),
    "exec": ("PodExecOptions", "", "v1", ["create", "get"]),
    "portforward": ("PodPortForwardOptions", "", "v1", ["create", "get"]),
    "log": ("Pod", "", "v1", ["get"]),
}


class Discovery:
    """The discovery documents of a registry, made anew when it grows."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._schemas: dict[tuple[str, int], dict[str, Any]] = {}

    def answer(self, path: str) -> dict[str, Any] | None:
        """The document at a path; None where there is none."""
        parts = path.strip("/").split("/")
        versions = self._registry.versions()
        if parts == ["version"]:
            return VERSION
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        if parts == ["apis"]:
            groups = [_group(name, known) for name, known in versions.items() if name]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        if parts[:2] == ["openapi", "v3"]:
            return self._openapi("/".join(parts[2:]))
        if len(parts) == 2 and parts[0] == "apis" and parts[1] in versions:
            return {**_group(parts[1], versions[parts[1]]), "kind": "APIGroup", "apiVersion": "v1"}
        return self._resources(parts)

    def _resources(self, parts: list[str]) -> dict[str, Any] | None:
        core = parts[0] == "api" and len(parts) == 2
        if not core and not (parts[0] == "apis" and len(parts) == 3):
            return None
        group, version = ("", parts[1]) if core else (parts[1], parts[2])
        kinds = [k for k in self._registry.all() if (k.group, k.version) == (group, version)]
        if not kinds:
            return None
        found = [entry for kind in kinds for entry in _entries(kind)]
        place = kinds[0].api_version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": place, "resources": found}

    def _openapi(self, place: str) -> dict[str, Any] | None:
        places = sorted({_place(kind) for kind in self._registry.all()})
        if not place:
            return {"paths": {p: {"serverRelativeURL": f"/openapi/v3/{p}?hash={self._hash(p)}"} for p in places}}
        return self._schema(place) if place in places else None

    def _schema(self, place: str) -> dict[str, Any]:
        kinds = [kind for kind in self._registry.all() if _place(kind) == place]
        known = (place, len(kinds))
        if known not in self._schemas:
            self._schemas[known] = openapi(place, kinds)
        return self._schemas[known]

    def _hash(self, place: str) -> str:
        """Changes with the document, without making it: clients ask for the whole of it only then."""
        names = [k.kind for k in self._registry.all() if _place(k) == place]
        return hashlib.sha256(orjson.dumps([VERSION, names])).hexdigest().upper()[:32]


def _place(kind: Kind) -> str:
    return f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"


def _group(name: str, versions: list[str]) -> dict[str, Any]:
    found = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": found, "preferredVersion": found[0]}


def _entries(kind: Kind) -> list[dict[str, Any]]:
    main: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    main |= {"shortNames": list(kind.short)} if kind.short else {}
    main |= {"categories": list(kind.categories)} if kind.categories else {}
    entries = [main]
    for name in kind.subresources:
        sub: dict[str, Any] = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        if name in SUB_KINDS:
            sub_kind, group, version, verbs = SUB_KINDS[name]
            sub |= {"kind": sub_kind, "group": group, "version": version, "verbs": verbs}
        else:
            sub |= {"kind": kind.kind, "verbs": ["get", "patch", "update"]}
        entries.append(sub)
    return entries


def openapi(place: str, kinds: list[Kind]) -> dict[str, Any]:
    """Paths and schemas of one group, made from the models of the Python client."""
    paths: dict[str, Any] = {}
    parameters = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in ("dryRun", "fieldValidation")]
    for kind in kinds:
        inside = "namespaces/{namespace}/" if kind.namespaced else ""
        meta = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        told: dict[str, Any] = {"x-kubernetes-group-version-kind": meta, "responses": {}}
        post = {**told, "x-kubernetes-action": "post", "parameters": parameters}
        patch = {**told, "x-kubernetes-action": "patch", "parameters": parameters}
        paths[f"/{place}/{inside}{kind.plural}"] = {"get": {**told, "x-kubernetes-action": "list"}, "post": post}
        paths[f"/{place}/{inside}{kind.plural}/{{name}}"] = {"get": told, "put": told, "patch": patch}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": _schemas(kinds)},
    }


PRIMITIVES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "datetime": {"type": "string", "format": "date-time"},
    "object": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}


def model(kind: Kind) -> Any:
    """The client's model of a kind, or None where it has none (custom resources)."""
    models = importlib.import_module("kubernetes.client.models")
    prefix = {"": "V1", "events.k8s.io": "EventsV1"}.get(kind.group, kind.version[0].upper() + kind.version[1:])
    names = (f"{prefix}{kind.kind}", f"Core{prefix}{kind.kind}")
    return next((getattr(models, name) for name in names if hasattr(models, name)), None)


def inside(type_name: str, container: str) -> str:
    """What a list or a dict of the client's models holds; empty where the type is none.

    >>> inside("List[V1Pod]", "list"), inside("dict(str, str)", "dict"), inside("str", "list")
    ('V1Pod', 'str', '')
    """
    key = "str, " if container == "dict" else ""
    match = re.fullmatch(rf"{container}[\[(]{key}(.+)[\])]", type_name, re.IGNORECASE)
    return match[1] if match else ""


def _schemas(kinds: list[Kind]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for kind in kinds:
        of = model(kind)
        name = of.__name__ if of else f"{kind.group}.{kind.version}.{kind.kind}"
        if of:
            _schema(of, schemas)
        else:
            schemas[name] = dict(PRIMITIVES["object"])
        meta = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        schemas[name]["x-kubernetes-group-version-kind"] = [meta]
    return schemas


def _schema(of: Any, schemas: dict[str, Any]) -> None:
    if of.__name__ in schemas:
        return
    properties: dict[str, Any] = {}
    schemas[of.__name__] = {"type": "object", "properties": properties}
    for attribute, type_name in of.openapi_types.items():
        properties[of.attribute_map[attribute]] = _property(type_name, schemas)


def _property(type_name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    if inner := inside(type_name, "list"):
        return {"type": "array", "items": _property(inner, schemas)}
    if inner := inside(type_name, "dict"):
        return {"type": "object", "additionalProperties": _property(inner, schemas)}
    if type_name in PRIMITIVES:
        return dict(PRIMITIVES[type_name])
    models = importlib.import_module("kubernetes.client.models")
    _schema(getattr(models, type_name), schemas)
    return {"$ref": f"#/components/schemas/{type_name}"}
