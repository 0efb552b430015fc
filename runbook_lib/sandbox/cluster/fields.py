"""Whether an object has the fields of its kind, by the models of the Python client: 400 for what cannot be decoded."""

import importlib
from collections.abc import Iterator
from typing import Any

from runbook_lib.sandbox.cluster.discovery import inside, model
from runbook_lib.sandbox.cluster.kinds import Kind
from runbook_lib.sandbox.cluster.status import bad_request

NUMBERS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "str": str,
    "bytes": str,
}
FREE = {"object", "V1JSONSchemaProps", "datetime"}


def decodable(kind: Kind, item: dict[str, Any], validation: str) -> None:
    """Raises ApiError (400) for a value of another type, and with `Strict` for a field that is not there."""
    of = model(kind)
    if of is None:
        return
    unknown: list[str] = []
    for path, given, wanted in _wrong(of, item, ""):
        if wanted:
            message = f"json: cannot unmarshal {given} into Go struct field {kind.kind}.{path} of type {wanted}"
            raise bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {message}')
        unknown.append(path)
    if unknown and validation == "Strict":
        told = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise bad_request(f"strict decoding error: {told}")


def _wrong(of: Any, item: dict[str, Any], at: str) -> Iterator[tuple[str, str, str]]:
    """(path, given, wanted type); without a type the field is not known."""
    types = {of.attribute_map[name]: kind for name, kind in of.openapi_types.items()}
    for name, value in item.items():
        path = f"{at}.{name}" if at else name
        if name not in types:
            yield path, "", ""
        elif value is not None:
            yield from _value(types[name], value, path)


def _value(type_name: str, value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    items, values = inside(type_name, "list"), inside(type_name, "dict")
    expected: Any = list if items else dict if values else NUMBERS.get(type_name, dict)
    truth_as_number = isinstance(value, bool) and type_name != "bool"
    if type_name in FREE:
        return
    if not isinstance(value, expected) or truth_as_number:
        yield path, _json_type(value), _go_type(type_name)
    elif items:
        for number, one in enumerate(value):
            yield from _value(items, one, f"{path}[{number}]")
    elif values:
        for key, one in value.items():
            yield from _value(values, one, f"{path}.{key}")
    elif type_name not in NUMBERS:
        yield from _wrong(getattr(importlib.import_module("kubernetes.client.models"), type_name), value, path)


def _go_type(type_name: str) -> str:
    if items := inside(type_name, "list"):
        return f"[]{_go_type(items)}"
    if values := inside(type_name, "dict"):
        return f"map[string]{_go_type(values)}"
    return {"str": "string", "int": "int32", "float": "float64"}.get(type_name, type_name.removeprefix("V1"))


def _json_type(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
