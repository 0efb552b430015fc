"""Strict parameters: what a notebook does not declare, or declares otherwise, is refused before anything runs."""

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError

from runbook_lib.errors import ParameterError, UsageError
from runbook_lib.execution import form
from runbook_lib.model import Json
from runbook_lib.secrets import SCHEMES, looks_secret, redactor
from runbook_lib.text import nearest

TIMES = ("_seconds", "_minutes", "_hours", "_days")
LONGEST_TIME = 1_000_000

TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A parameter as the notebook's `parameters` cell declares it: `wanted` as written there, empty for anything."""

    name: str
    wanted: str
    default: Json


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where it was given (`x.yaml:3`, `-p`)."""

    value: Json
    origin: str


def load_notebook(path: Path) -> NotebookNode:
    """Raises UsageError where the file is no notebook."""
    try:
        return form.read(path)
    except (NotJSONError, ValidationError, UnicodeDecodeError, KeyError) as error:
        raise UsageError(f"{path} is no notebook: {str(error).splitlines()[0][:120]}") from error
    except OSError as error:
        raise UsageError(f"notebook {path} cannot be read: {error.strerror}") from error


def declared(notebook: NotebookNode) -> dict[str, Declared]:
    """What the cell tagged `parameters` declares; empty without one. Raises ParameterError where it is not literals."""
    source = next((c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])), "")
    try:
        statements = ast.parse(source).body
        found = [_declaration(s) for s in statements if not _is_aside(s)]
    except (SyntaxError, ValueError) as error:
        raise ParameterError(f"the notebook's parameters cell is not made of annotated literals: {error}") from error
    return {d.name: d for d in found}


def _is_aside(statement: ast.stmt) -> bool:
    """A text, or an import that annotations need."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.ImportFrom(module="typing"):
            return True
    return False


def _declaration(statement: ast.stmt) -> Declared:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
            return Declared(name=name, wanted=ast.unparse(annotation), default=ast.literal_eval(value))
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            default = ast.literal_eval(value)
            wanted = type(default).__name__ if default is not None else ""
            return Declared(name=name, wanted=wanted, default=default)
    raise ValueError(f"line {statement.lineno}: {ast.unparse(statement)[:60]}")


def from_file(path: Path) -> dict[str, Given]:
    """The parameters of a YAML file. Raises ParameterError with file and line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ParameterError(f"parameters file {path} cannot be read: {why}") from error
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "no YAML"
        raise ParameterError(f"{path}:{mark.line + 1 if mark else 1}: {redactor.redact(str(problem))}") from error
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise ParameterError(f"{path}:{node.start_mark.line + 1}: name: value pairs are wanted")
    lines: dict[str, int] = {}
    for key, _ in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines:
            raise ParameterError(f"{path}:{line}: {name} was given before, in line {lines[name]}")
        lines[name] = line
    return {str(name): Given(value, f"{path}:{lines.get(str(name), 1)}") for name, value in values.items()}


def from_pairs(pairs: Iterable[str]) -> dict[str, Given]:
    """`name=value` texts of the command line. Raises ParameterError."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            # What stands there may be a secret, so it is not repeated.
            raise ParameterError("-p wants NAME=VALUE")
        found[name.strip()] = Given(value, "-p")
    return found


def settle(notebook: NotebookNode, *layers: Mapping[str, Given]) -> dict[str, Json]:
    """The values to inject, each of its declared type; later layers win. Raises ParameterError for the first that is
    unknown, looks like a secret or does not fit.
    """
    known, settled = declared(notebook), {}
    for layer in layers:
        for name, given in layer.items():
            settled[name] = _settled(known, name, given)
    return settled


def _settled(known: Mapping[str, Declared], name: str, given: Given) -> Json:
    if name not in known:
        raise ParameterError(f"{given.origin}: the notebook has no parameter {name!r}{nearest(name, known)}")
    _refuse_secret(name, given.value, given.origin)
    wanted = known[name].wanted
    try:
        return _sensible(name, _fit(wanted, given.value))
    except ValueError as error:
        shown = redactor.redact(repr(given.value))[:60]
        hint = "; write it in quotes" if wanted == "str" and not isinstance(given.value, str) else ""
        raise ParameterError(f"{given.origin}: {name} wants {wanted}, got {shown}{error}{hint}") from error


def _sensible(name: str, value: Json) -> Json:
    """Times are above 0 and end: with others everything would look dead. Raises ValueError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(": no number that can be used")
    if name.endswith(TIMES) and isinstance(value, int | float) and not 0 < value <= LONGEST_TIME:
        raise ValueError(f": it has to be above 0 and at most {LONGEST_TIME:,}")
    return value


def refuse_secrets(parameters: Mapping[str, Json]) -> None:
    """Raises ParameterError for the first that looks like a secret: it would be written down in clear."""
    for name, value in parameters.items():
        _refuse_secret(name, value, "parameters")


def _refuse_secret(name: str, value: Json, origin: str) -> None:
    for inner, text in _texts(name, value):
        if looks_secret(inner, text) or redactor.redact(text) != text:
            ways = ", ".join(SCHEMES)
            raise ParameterError(f"{origin}: {inner} looks like a secret and would be written down: name it by {ways}")


def _texts(name: str, value: Json) -> Iterable[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(name, inner)


def _fit(wanted: str, value: Json) -> Json:
    """The value as what the annotation says, converting text. Raises ValueError."""
    if not wanted:
        return value
    node = ast.parse(wanted, mode="eval").body
    alternatives = list(_alternatives(node))
    for fits in (_exactly, _converted):
        for alternative in alternatives:
            result = fits(alternative, value)
            if result is not NO:
                return result
    raise ValueError("")


NO: Any = object()
"""Does not fit."""


def _alternatives(node: ast.expr) -> Iterable[ast.expr]:
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _alternatives(left)
            yield from _alternatives(right)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            yield from _alternatives(inner)
            yield ast.Constant(None)
        case _:
            yield node


def _exactly(node: ast.expr, value: Json) -> Json:
    match node:
        case ast.Constant(value=None):
            return None if value is None else NO
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            listed = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            allowed = [ast.literal_eval(choice) for choice in listed]
            return value if any(value == a and type(value) is type(a) for a in allowed) else NO
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in TYPES:
            return _collection(name, inner, value)
        case ast.Name(id="Any"):
            return value
        case ast.Name(id=name) if name in TYPES:
            if name == "float" and type(value) is int:
                return float(value)
            return value if type(value) is TYPES[name] else NO
    raise ParameterError(f"the notebook declares a type that is not known here: {ast.unparse(node)}")


def _collection(name: str, inner: ast.expr, value: Json) -> Json:
    if not isinstance(value, list | dict) or type(value) is not TYPES[name]:
        return NO
    element = ast.unparse(inner.elts[-1] if isinstance(inner, ast.Tuple) else inner)
    if isinstance(value, Mapping):
        return {key: _fit(element, v) for key, v in value.items()}
    return [_fit(element, v) for v in value]


def _converted(node: ast.expr, value: Json) -> Json:
    """The same for text, as it comes from the command line."""
    if not isinstance(value, str):
        return NO
    text = value.strip()
    match node:
        case ast.Constant(value=None):
            return None if text.lower() in {"null", "none", ""} else NO
        case ast.Name(id="bool"):
            return BOOLEANS.get(text.lower(), NO)
        case ast.Name(id="int" | "float" as name):
            try:
                return TYPES[name](text)
            except ValueError:
                return NO
    return _exactly(node, _yaml(text))


def _yaml(text: str) -> Json:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return NO
