"""Label and field selectors, as they stand in a query string or in an object."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

SPLIT = re.compile(r",(?![^()]*\))")
IN_SET = re.compile(r"\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*")
EQUAL = re.compile(r"\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*")
EXISTS = re.compile(r"\s*(!?)\s*([^\s!=,()]+)\s*")


def parse(text: str) -> list[Test]:
    """`app=api,tier in (web, back),!canary`. Raises ValueError."""
    return [_requirement(part) for part in SPLIT.split(text) if part.strip()]


def _requirement(part: str) -> Test:
    if match := IN_SET.fullmatch(part):
        return _test(match[1], "In" if match[2] == "in" else "NotIn", {v.strip() for v in match[3].split(",")})
    if match := EQUAL.fullmatch(part):
        return _test(match[1], "NotIn" if match[2] == "!=" else "In", {match[3]})
    if match := EXISTS.fullmatch(part):
        return _test(match[2], "DoesNotExist" if match[1] else "Exists", set())
    raise ValueError(f"unable to parse requirement: found '{part.strip()}'")


def _test(key: str, operator: str, values: set[str]) -> Test:
    tests: dict[str, Test] = {
        "In": lambda labels: labels.get(key) in values,
        "NotIn": lambda labels: labels.get(key) not in values,
        "Exists": lambda labels: key in labels,
        "DoesNotExist": lambda labels: key not in labels,
    }
    if operator not in tests:
        raise ValueError(f'"{operator}" is not a valid label selector operator')
    return tests[operator]


def of(selector: Mapping[str, Any] | None) -> list[Test]:
    """A LabelSelector object: `matchLabels` and `matchExpressions`. Raises ValueError."""
    selector = selector or {}
    return [
        *(_test(key, "In", {value}) for key, value in (selector.get("matchLabels") or {}).items()),
        *(_test(e["key"], e["operator"], set(e.get("values") or [])) for e in selector.get("matchExpressions") or []),
    ]


def text_of(selector: Mapping[str, Any] | None) -> str:
    """As `-o wide` and `scale` show it.

    >>> text_of({"matchLabels": {"app": "api"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]})
    'app=api,a in (b)'
    """
    selector = selector or {}
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    words = {"In": "in", "NotIn": "notin"}
    for e in selector.get("matchExpressions") or []:
        if e["operator"] in words:
            parts.append(f"{e['key']} {words[e['operator']]} ({','.join(e.get('values') or [])})")
        else:
            parts.append(e["key"] if e["operator"] == "Exists" else f"!{e['key']}")
    return ",".join(parts)


def matches(tests: list[Test], labels: Labels) -> bool:
    return all(test(labels) for test in tests)


ANY_KIND = ("metadata.name", "metadata.namespace")
FIELDS: Mapping[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "jobs": ("status.successful",),
    "replicasets": ("status.replicas",),
    "replicationcontrollers": ("status.replicas",),
    "namespaces": ("status.phase",),
}


def fields(text: str, plural: str) -> list[tuple[str, str, bool]]:
    """(path, value, equal) of each requirement. Raises ValueError for a field that this kind cannot be chosen by."""
    found = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*([\w.]+)\s*(==|=|!=)\s*(.*?)\s*", part)
        if not match:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        if match[1] not in (*ANY_KIND, *FIELDS.get(plural, ())):
            raise ValueError(f"field label not supported: {match[1]}")
        found.append((match[1], match[3], match[2] != "!="))
    return found


def has_fields(wanted: list[tuple[str, str, bool]], item: Mapping[str, Any]) -> bool:
    return all((field(item, path) == value) is equal for path, value, equal in wanted)


def field(item: Mapping[str, Any], path: str) -> str:
    if path == "source":
        return str((item.get("source") or {}).get("component") or "")
    value: Any = item
    for key in path.split("."):
        value = (value or {}).get(key)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
