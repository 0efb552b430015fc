"""What every check gets for free: it never sees an answer that is none, and an `ok` on half an answer is `unknown`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from runbook_lib.model import Evidence, Finding, Json, Outcome, Status

OURS = (Outcome.AUTH, Outcome.FORBIDDEN, Outcome.NOT_FOUND, Outcome.NOT_CONFIGURED, Outcome.TLS, Outcome.FAILED)
"""Refusals that may be our own doing (a password, a certificate): how the system does for others stays open."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check concludes. `facts` may hold `value`, `unit` and `threshold`: its main figure."""

    status: Status
    summary: str
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A named judgement; called with Evidence and thresholds it gives a Finding."""

    name: str
    judge: Callable[..., Judgement]
    judges_failures: bool

    def __call__(self, evidence: Evidence, **arguments: Json) -> Finding:
        if evidence.outcome is Outcome.ANSWERED or self.judges_failures:
            judgement = self._judged(evidence, arguments)
        else:
            judgement = Judgement(Status.UNKNOWN, unanswered(evidence))
        status, summary = judgement.status, judgement.summary
        if status is Status.OK and not evidence.coverage.whole:
            status, summary = Status.UNKNOWN, f"{summary} (of what was seen: {evidence.coverage})"
        return Finding(
            check=self.name,
            arguments=arguments,
            status=status,
            summary=summary,
            source=evidence.target.source,
            evidence=evidence.id,
            facts={"outcome": str(evidence.outcome), **judgement.facts},
        )

    def _judged(self, evidence: Evidence, arguments: Mapping[str, Json]) -> Judgement:
        try:
            return self.judge(evidence, **arguments)
        except Exception as error:  # noqa: BLE001 - one check that trips over odd data must not cost the other answers
            text = f"could not be judged, a fault of the check: {type(error).__name__}: {error}"
            return Judgement(Status.UNKNOWN, " ".join(text.split())[:300])


def unanswered(evidence: Evidence) -> str:
    words = str(evidence.outcome).replace("_", " ")
    return f"could not be asked: {words}" + (f" ({evidence.reason})" if evidence.reason else "")


def check(function: Callable[..., Judgement]) -> Check:
    """Makes a check of a function `(evidence, *, thresholds...) -> Judgement`."""
    return Check(_name(function), function, judges_failures=False)


def check_of_outcomes(function: Callable[..., Judgement]) -> Check:
    """The same for the one check of a system that judges how asking failed: a refusal is an answer."""
    return Check(_name(function), function, judges_failures=True)


def _name(function: Callable[..., Judgement]) -> str:
    system = function.__module__.removeprefix("runbook_lib.checks.").partition(".")[0]
    return f"{system}.{function.__name__}"


Row = dict[str, Any]


def rows(evidence: Evidence) -> list[Row]:
    """The frame as plain dicts: integers stay integers, missing is None."""
    names = list(evidence.schema)
    return [
        {name: None if _missing(value) else _plain(value) for name, value in zip(names, row, strict=True)}
        for row in evidence.data.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)  # noqa: PLR0124


def change(evidence: Evidence, key: tuple[str, ...], counters: tuple[str, ...]) -> tuple[float, list[Row]]:
    """Seconds between the two samples, and the rows of the second with their counters replaced by the growth.

    A row that is new in the second sample is left out: a list that was cut may have left it out before, and its total
    is no growth. A counter that fell (statistics were reset) counts as zero.
    """
    seconds = max(evidence.took.total_seconds(), 1e-3)
    first = {tuple(r[k] for k in key): r for r in rows(evidence) if r["sample"] == 0}
    grown = []
    for row in (r for r in rows(evidence) if r["sample"] == 1):
        before = first.get(tuple(row[k] for k in key))
        if before is not None:
            grown.append({**row, **{c: max(0, row[c] - (before[c] or 0)) for c in counters}})
    return seconds, grown


def graded(value: float, warn: float, critical: float) -> Status:
    """`critical` at or above its threshold, `warn` at or above its own, else `ok`.

    >>> str(graded(0.9, 0.8, 0.95))
    'warn'
    """
    if value >= critical:
        return Status.CRITICAL
    return Status.WARN if value >= warn else Status.OK


def measured(value: float, unit: str, threshold: float, **more: Json) -> dict[str, Json]:
    """The main figure of a judgement, as `facts`, for before and after."""
    return {"value": value, "unit": unit, "threshold": threshold, **more}
