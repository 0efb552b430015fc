"""What a request asks for: verb, kind, namespace, name, subresource, and how it wants to be answered."""

from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml
from starlette.requests import Request

from runbook_lib.sandbox.cluster.kinds import Kind, Registry
from runbook_lib.sandbox.cluster.status import bad_request, method_not_allowed, no_such_path, unsupported_media

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SHAPES = ("as=Table;", "as=PartialObjectMetadataList;", "as=PartialObjectMetadata;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`name` is empty for a collection; `shape` is how the answer is to look: whole, Table, Partial..."""

    verb: str
    kind: Kind
    namespace: str
    name: str
    subresource: str
    query: dict[str, str]
    shape: str
    body: bytes = b""
    content_type: str = ""
    tail: str = field(default="")

    @property
    def key(self) -> tuple[str, str]:
        return (self.namespace, self.name)

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in {"1", "true"}

    def number(self, name: str, default: int = 0) -> int:
        try:
            return int(self.query.get(name) or default)
        except ValueError as error:
            raise bad_request(f"{name}: {self.query[name]!r} is no number") from error

    @property
    def dry_run(self) -> bool:
        given = self.query.get("dryRun", "")
        if given not in {"", "All"}:
            raise bad_request(f'dryRun: Unsupported value: "{given}": supported values: "All"')
        return given == "All"


async def understand(request: Request, registry: Registry) -> Wanted:
    """Raises ApiError (404) for a path that is none, 405 for a method that is not."""
    kind, namespace, name, subresource, tail = _place(request.url.path.strip("/").split("/"), registry)
    query = dict(request.query_params)
    return Wanted(
        verb=_verb(request.method, name, query),
        kind=kind,
        namespace=namespace,
        name=name,
        subresource=subresource,
        query=query,
        shape=_shape(request.headers.get("accept", "")),
        body=await request.body(),
        content_type=request.headers.get("content-type", "").partition(";")[0].strip(),
        tail=tail,
    )


def _place(parts: list[str], registry: Registry) -> tuple[Kind, str, str, str, str]:
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_path()
    namespace = ""
    inside = len(rest) > 2 and rest[0] == "namespaces" and registry.at(group, version, rest[2]) is not None
    if inside:
        namespace, rest = rest[1], rest[2:]
    kind = registry.at(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        raise no_such_path()
    name, subresource, *tail = [*rest[1:], "", ""]
    if subresource and subresource not in kind.subresources:
        raise no_such_path()
    if name and kind.namespaced and not namespace:
        raise no_such_path()
    return kind, namespace, name, subresource, "/".join(filter(None, tail))


def _verb(method: str, name: str, query: dict[str, str]) -> str:
    if method == "GET":
        watches = query.get("watch", "").lower() in {"1", "true"}
        return "watch" if watches and not name else "get" if name else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    if method not in VERBS:
        raise method_not_allowed()
    return VERBS[method]


def _shape(accept: str) -> str:
    for offer in accept.split(","):
        text = offer.replace(" ", "") + ";"
        found = next((s for s in SHAPES if s in text), None)
        if found and JSON in text:
            return found[3:-1]
        if text.startswith((JSON, "*/*", "application/*")):
            return ""
    return ""


def decoded(body: bytes, content_type: str) -> dict[str, Any]:
    """The object in a body. Raises ApiError for one that is none."""
    if content_type == PROTOBUF:
        return _from_protobuf(body)
    if content_type not in {JSON, YAML, ""}:
        raise unsupported_media(content_type, (JSON, YAML))
    try:
        value = yaml.safe_load(body) if content_type == YAML else orjson.loads(body)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the object provided is unrecognized (must be of type {JSON}): {error}") from error
    if not isinstance(value, dict):
        raise bad_request("the object provided is unrecognized: it is no object")
    return value


MAGIC = b"k8s\x00"


def _from_protobuf(body: bytes) -> dict[str, Any]:
    """A SelfSubjectAccessReview or SelfSubjectRulesReview, which kubectl sends as protobuf only.

    Raises ApiError (415) for any other object: that one kubectl can send as JSON.
    """
    if not body.startswith(MAGIC):
        raise unsupported_media(PROTOBUF, (JSON,))
    outer = _fields(body[len(MAGIC) :])
    kind = _fields(outer.get(1, b"")).get(2, b"").decode()
    spec = _fields(_fields(outer.get(2, b"")).get(2, b""))
    if kind == "SelfSubjectRulesReview":
        return {"kind": kind, "spec": {"namespace": spec.get(1, b"").decode()}}
    if kind != "SelfSubjectAccessReview":
        raise unsupported_media(PROTOBUF, (JSON,))
    resource, other = _fields(spec.get(1, b"")), _fields(spec.get(2, b""))
    names = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}
    review: dict[str, Any] = {}
    if resource:
        review["resourceAttributes"] = {names[n]: v.decode() for n, v in resource.items() if n in names}
    if other:
        review["nonResourceAttributes"] = {"path": other.get(1, b"").decode(), "verb": other.get(2, b"").decode()}
    return {"kind": kind, "spec": review}


def _fields(message: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a protobuf message, by number; others are passed over."""
    found: dict[int, bytes] = {}
    at = 0
    try:
        while at < len(message):
            tag, at = _varint(message, at)
            number, wire = tag >> 3, tag & 7
            if wire == 2:
                size, at = _varint(message, at)
                found[number] = message[at : at + size]
                at += size
            elif wire == 0:
                _, at = _varint(message, at)
            else:
                at += {1: 8, 5: 4}[wire]
    except (IndexError, KeyError) as error:
        raise bad_request("the protobuf body cannot be read") from error
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
