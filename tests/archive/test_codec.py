"""Evidence survives the way to disk and back, whatever a system says."""

import math
import multiprocessing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbook_lib import checks
from runbook_lib.archive import codec
from runbook_lib.archive.store import RunFolder
from runbook_lib.errors import StateError
from runbook_lib.model import DTYPES, Coverage, Evidence, Outcome, Target

MOMENTS = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - the zone comes beside it
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]),
)
TEXT = st.text(st.characters())  # with NUL, U+2028 and lone surrogates
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT | st.sampled_from(["$float", "$mapping"]), inner),
    max_leaves=8,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(),
    "boolean": st.booleans(),
    "str": TEXT,
    "timestamp": MOMENTS,
    "timedelta": st.timedeltas(min_value=timedelta(days=-100_000), max_value=timedelta(days=100_000)),
    "json": NESTED,
}


@st.composite
def frames(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    schema = draw(st.dictionaries(st.text(min_size=1, max_size=8), st.sampled_from(sorted(DTYPES)), max_size=5))
    row = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in schema.items()})
    return schema, draw(st.lists(row, max_size=4)) if schema else []


def evidence(schema: Any, data: pd.DataFrame, **changed: Any) -> Evidence:
    values: dict[str, Any] = {
        "id": "e1",
        "question": "postgres.connections",
        "target": Target(source="db", kind="postgres", address="h:1/d", identity="postgres:1/d", instance="s"),
        "query": "SELECT 1",
        "params": {"limit": 3},
        "observed_at": datetime(2026, 11, 21, 3, tzinfo=UTC),
        "took": timedelta(seconds=1, microseconds=7),
        "outcome": Outcome.ANSWERED,
        "reason": "",
        "coverage": Coverage(),
    }
    return Evidence(schema=schema, data=data, **{**values, **changed})


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) and type(left) is type(right)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frames())
def test_round_trip(drawn: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    """Dtypes, time zones, nulls, non-finite numbers and nested values come back; one line holds all of it."""
    schema, rows = drawn
    before = evidence(schema, codec.coerce(rows, schema))
    line = codec.encode(before)
    after = codec.decode(line)
    assert line.isascii()
    assert "\n" not in line
    assert {n: str(d) for n, d in after.data.dtypes.items()} == {n: DTYPES[k] for n, k in schema.items()}
    plain = [n for n, kind in schema.items() if kind != "json"]
    pd.testing.assert_frame_equal(after.data[plain], before.data[plain])
    for name in set(schema) - set(plain):
        assert all(map(same, before.data[name], after.data[name]))
    assert codec.encode(after) == line


@given(st.integers(0, 60), st.integers(1, 100), st.sampled_from(list(Outcome)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_judging_again_gives_the_same(used: int, room: int, outcome: Outcome, truncated: bool) -> None:  # noqa: FBT001
    """A finding made of what came back from disk is the finding that was made at the time."""
    schema: Any = {
        "state": "str",
        "sessions": "Int64",
        "longest_in_state_seconds": "float64",
        "max_connections": "Int64",
        "reserved": "Int64",
    }
    rows = [("idle", used, None, room, 0)] if outcome is Outcome.ANSWERED else []
    changed = {"outcome": outcome, "reason": "why", "coverage": Coverage(truncated=truncated)}
    before = evidence(schema, codec.coerce(rows, schema), **changed)
    judge = checks.find("postgres.connections")
    assert judge(before, warn=0.5) == judge(codec.decode(codec.encode(before)), warn=0.5)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A crash in mid-write costs that line, not the file."""
    run = RunFolder(tmp_path)
    schema: Any = {"n": "Int64"}
    run.append_evidence(evidence(schema, codec.coerce([(1,)], schema)))
    with (tmp_path / "evidence.jsonl").open("a") as file:
        file.write('{"id": "torn')
    assert [e.id for e in run.evidence()] == ["e1"]


def test_a_whole_line_that_is_no_evidence_is_said() -> None:
    """What somebody else wrote there is not passed over."""
    with pytest.raises(StateError, match=r"evidence\.jsonl"):
        codec.decode("{}")


def _append(path: str, name: str) -> None:
    schema: Any = {"text": "str"}
    for _ in range(40):
        RunFolder(Path(path)).append_evidence(evidence(schema, codec.coerce([("x" * 9000,)], schema), id=name))


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    """Lines longer than a pipe's buffer, from two processes at once, all come back whole."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(str(tmp_path), name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert sorted(e.id for e in RunFolder(tmp_path).evidence()) == ["a"] * 40 + ["b"] * 40
