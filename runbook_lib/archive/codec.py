"""Evidence as one JSON line and back, losing nothing.

A row is a list in the order of the schema. Missing values are null; float64 marks what JSON cannot say as "inf" or
"-inf"; timestamps are ISO 8601 in UTC with microseconds; timedeltas are whole microseconds. In `json` columns a
non-finite float is {"$float": "nan"}, and a mapping that happens to look like that is wrapped as {"$mapping": ...}.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pandas as pd

from runbook_lib.errors import StateError
from runbook_lib.model import DTYPES, ColumnType, Coverage, Evidence, Json, Outcome, Schema, Target

MARKS = {"$float", "$mapping"}
MICROSECOND = timedelta(microseconds=1)


def coerce(rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]], schema: Schema) -> pd.DataFrame:
    """A frame with exactly the columns and dtypes of `schema`, whatever the rows hold and also without rows.

    Raises ValueError or TypeError where a value does not fit its column; OverflowError where an integer is too big.
    """
    columns: dict[str, pd.Series[Any]] = {}
    for position, (name, kind) in enumerate(schema.items()):
        values = [row.get(name) if isinstance(row, Mapping) else row[position] for row in rows]
        columns[name] = pd.Series([INTO[kind](v) if _present(v) else None for v in values], dtype=_dtype(kind))
    return pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))


def _dtype(kind: ColumnType) -> Any:
    return DTYPES[kind]


def _present(value: object) -> bool:
    return not (value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)))


def _whole(value: Any) -> int:
    number = int(value)
    if number != value:
        raise ValueError(f"{value!r} is no whole number")
    return number


def _boolean(value: Any) -> bool:
    if value not in (True, False):
        raise ValueError(f"{value!r} is no truth value")
    return bool(value)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else cast(datetime, value)
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC)


def _length(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(microseconds=value)


INTO: Mapping[ColumnType, Callable[[Any], Any]] = {
    "Int64": _whole,
    "float64": float,
    "boolean": _boolean,
    "str": str,
    "timestamp": _moment,
    "timedelta": _length,
    "json": lambda value: value,
}


def _mark(value: Json) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, Mapping):
        marked = {str(k): _mark(v) for k, v in value.items()}
        return {"$mapping": marked} if MARKS & marked.keys() else marked
    if isinstance(value, list | tuple):
        return [_mark(v) for v in value]
    return value


def _unmark(value: Json) -> Json:
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return float(value["$float"])
        inner = value["$mapping"] if value.keys() == {"$mapping"} else value
        return {k: _unmark(v) for k, v in inner.items()}
    if isinstance(value, list):
        return [_unmark(v) for v in value]
    return value


def _out(kind: ColumnType, value: Any) -> Json:
    if kind == "json":
        return _mark(value)
    if not _present(value):
        return None
    if kind == "timestamp":
        return _iso(pd.Timestamp(value).to_pydatetime())
    if kind == "timedelta":
        return pd.Timedelta(value).to_pytimedelta() // MICROSECOND
    if kind == "float64":
        return float(value) if math.isfinite(value) else repr(float(value))
    return {"Int64": int, "boolean": bool, "str": str}[kind](value)


def _back(kind: ColumnType, value: Json) -> Any:
    return _unmark(value) if kind == "json" else value


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def record(evidence: Evidence) -> dict[str, Json]:
    """The evidence as JSON-able values; `rows` come last."""
    target, coverage = evidence.target, evidence.coverage
    kinds = list(evidence.schema.values())
    columns = [[_out(k, v) for v in evidence.data[name]] for name, k in evidence.schema.items()]
    return {
        "id": evidence.id,
        "question": evidence.question,
        "target": {name: getattr(target, name) for name in Target.__dataclass_fields__},
        "query": evidence.query,
        "params": _mark(evidence.params),
        "observed_at": _iso(evidence.observed_at),
        "took_us": evidence.took // MICROSECOND,
        "outcome": str(evidence.outcome),
        "reason": evidence.reason,
        "coverage": {name: getattr(coverage, name) for name in Coverage.__dataclass_fields__},
        "schema": [[name, kind] for name, kind in zip(evidence.schema, kinds, strict=True)],
        "rows": [list(row) for row in zip(*columns, strict=True)] if columns else [],
    }


def encode(evidence: Evidence) -> str:
    """One JSON line, without its line end; plain ASCII, so that no reader splits it at an exotic line separator."""
    return json.dumps(record(evidence), allow_nan=False)


def decode(line: str) -> Evidence:
    """Raises StateError where the line is no evidence."""
    try:
        return _decoded(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"a line of evidence.jsonl cannot be read: {error}") from error


def _decoded(raw: dict[str, Json]) -> Evidence:
    schema: dict[str, ColumnType] = dict(raw["schema"])
    kinds = list(schema.values())
    rows = [[_back(k, v) for k, v in zip(kinds, row, strict=True)] for row in raw["rows"]]
    return Evidence(
        id=raw["id"],
        question=raw["question"],
        target=Target(**raw["target"]),
        query=raw["query"],
        params=_unmark(raw["params"]),
        observed_at=datetime.fromisoformat(raw["observed_at"]),
        took=timedelta(microseconds=raw["took_us"]),
        outcome=Outcome(raw["outcome"]),
        reason=raw["reason"],
        coverage=Coverage(**raw["coverage"]),
        schema=schema,
        data=coerce(rows, schema),
    )
