"""One query a file; its header says what it answers, with what parameters, where, and in which columns.

    -- Who waits for whom, and who is at the root of it
    -- params: limit Int64 = 200
    -- requires: postgres >= 14, role pg_read_all_stats
    -- columns: pid Int64, application str, waiting_seconds float64
    -- sample: 1.0

The first line is the title. A query refuses parameters that it does not declare; values are bound, never formatted in.
`sample` asks twice, that many seconds apart, so that a check can tell a rate from a total; the frame then has both
answers, told apart by a first column `sample` (0, 1). `each` asks once for every item of that setting of the source.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import yaml

from runbook_lib.errors import ParameterError, StateError, UsageError
from runbook_lib.model import ColumnType, Json, Schema

FOLDER = Path(__file__).parent
COMMENT = re.compile(r"(?:--|#) ?(.*)")
TYPES: Mapping[str, type | tuple[type, ...]] = {"Int64": int, "float64": (int, float), "str": str, "boolean": bool}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A declared parameter: its column type and default (None: it must be given)."""

    type: ColumnType
    default: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to ask of one kind of system."""

    system: str
    name: str
    title: str
    text: str
    params: Mapping[str, Parameter]
    requires: str
    columns: Schema
    sample: float
    each: str

    @property
    def question(self) -> str:
        return f"{self.system}.{self.name}"

    @property
    def schema(self) -> Schema:
        """The columns of the answer: those declared, after `sample` where the query is asked twice."""
        return {"sample": "Int64", **self.columns} if self.sample else self.columns

    def bind(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """All parameters with their values. Raises ParameterError for one that is unknown, missing or mistyped."""
        unknown = given.keys() - self.params.keys()
        if unknown:
            has = ", ".join(self.params) or "none"
            raise ParameterError(f"{self.question} has no parameter {', '.join(sorted(unknown))}; it has: {has}")
        bound = {name: given.get(name, p.default) for name, p in self.params.items()}
        for name, value in bound.items():
            wanted = self.params[name].type
            if not isinstance(value, TYPES[wanted]) or (wanted != "boolean" and isinstance(value, bool)):
                raise ParameterError(f"{self.question}: parameter {name} wants {wanted}, not {value!r}")
        return bound


@functools.cache
def load(question: str) -> Query:
    """The query `system.name`. Raises UsageError where there is none, StateError where its header is wrong."""
    system, _, name = question.partition(".")
    files = list((FOLDER / system).glob(f"{name}.*")) if re.fullmatch(r"\w+\.\w+", question) else []
    if not files:
        raise UsageError(f"there is no query {question!r}; see {FOLDER}")
    return _parse(system, files[0])


def names() -> list[str]:
    """Every question that can be asked: `system.name`."""
    return sorted(f"{p.parent.name}.{p.stem}" for p in FOLDER.glob("*/*.*") if not p.name.startswith("_"))


def _parse(system: str, path: Path) -> Query:
    lines = path.read_text("utf-8").splitlines()
    header = []
    for line in lines:
        match = COMMENT.fullmatch(line)
        if match is None:
            break
        header.append(match[1])
    fields = _fields(header[1:], path)
    for needed in filter(None, map(str.strip, fields.get("requires", "").split(","))):
        if not re.fullmatch(r"postgres >= \d+|role \w+", needed):
            raise StateError(f"{path}: requires {needed!r}, which nothing knows how to check")
    return Query(
        system=system,
        name=path.stem,
        title=header[0],
        text="\n".join(lines[len(header) :]).strip(),
        params=_params(fields.get("params", ""), path),
        requires=fields.get("requires", ""),
        columns=_columns(fields.get("columns", ""), path),
        sample=float(fields.get("sample", 0)),
        each=fields.get("each", ""),
    )


def _fields(header: list[str], path: Path) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in header:
        match = re.match(r"(params|requires|columns|sample|each):\s*(.*)", line)
        if match:
            name = match[1]
            fields[name] = match[2]
        elif name:
            fields[name] += " " + line.strip()
        else:
            raise StateError(f"{path}: header line {line!r} belongs to no field")
    return fields


def _type(word: str, path: Path) -> ColumnType:
    if word not in get_args(ColumnType):
        raise StateError(f"{path}: {word!r} is no column type; there are: {', '.join(get_args(ColumnType))}")
    return cast(ColumnType, word)


def _columns(text: str, path: Path) -> dict[str, ColumnType]:
    pairs = [item.split() for item in text.split(",") if item.strip()]
    return {name: _type(kind, path) for name, kind in pairs}


def _params(text: str, path: Path) -> dict[str, Parameter]:
    found = {}
    for item in filter(str.strip, text.split(",")):
        declared, _, default = item.partition("=")
        name, kind = declared.split()
        found[name] = Parameter(type=_type(kind, path), default=yaml.safe_load(default) if default else None)
    return found
