"""The values that travel from a system to the post-mortem: frozen, and each shows itself in a notebook."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from typing import Any, Literal

import pandas as pd

Json = Any
ColumnType = Literal["Int64", "float64", "boolean", "str", "timestamp", "timedelta", "json"]
Schema = Mapping[str, ColumnType]
DTYPES: dict[str, str] = {
    "Int64": "Int64",
    "float64": "float64",
    "boolean": "boolean",
    "str": "str",
    "timestamp": "datetime64[us, UTC]",
    "timedelta": "timedelta64[us]",
    "json": "object",
}
MIME = "application/vnd.runbook.v1+json"
SHOWN_ROWS = 50


class Status(StrEnum):
    """What a check says, from good to bad; `unknown` stands apart: could not look is never healthy."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


STATUS_RANK = {Status.OK: 0, Status.WARN: 1, Status.CRITICAL: 2}


class Outcome(StrEnum):
    """How a question ended; a refusal is an answer of its own."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    DNS = "dns"
    TLS = "tls"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    EXHAUSTED = "exhausted"
    STARTING = "starting"
    NOT_FOUND = "not_found"
    NOT_CONFIGURED = "not_configured"
    FAILED = "failed"


Category = Literal[
    "healthy",
    "resource_exhaustion",
    "configuration_error",
    "code_error",
    "dependency_failure",
    "infrastructure",
    "traffic",
    "data",
    "security",
    "undetermined",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who answered: `identity` outlives a restart (None: it could not be had), `instance` does not."""

    source: str
    kind: str
    address: str
    identity: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what was asked came back."""

    asked: int = 1
    answered: int = 1
    truncated: bool = False
    stale: bool = False

    @property
    def whole(self) -> bool:
        return self.answered >= self.asked and not self.truncated and not self.stale

    def __str__(self) -> str:
        words = [f"{self.answered} of {self.asked} answered"]
        words += ["truncated"] * self.truncated + ["stale"] * self.stale
        return ", ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What one system said to one question, or how it failed to.

    `question` is `system.query`, `query` the text as one could paste it, `data` a frame whose columns and dtypes are
    those of `schema` even when it is empty.
    """

    id: str
    question: str
    target: Target
    query: str
    params: Mapping[str, Json]
    observed_at: datetime
    took: timedelta
    outcome: Outcome
    reason: str
    coverage: Coverage
    schema: Schema
    data: pd.DataFrame

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        head = f"{self.question} on {self.target.source}: {self.outcome} in {self.took.total_seconds():.2f} s"
        head += f" ({self.reason})" if self.reason else ""
        shown = self.data.head(SHOWN_ROWS)
        more = len(self.data) - len(shown)
        tail = f"... and {more} more rows in the evidence" if more else ""
        return {
            "text/plain": "\n".join(filter(None, [head, shown.to_string(index=False, max_colwidth=80), tail])),
            "text/html": f"<p>{escape(head)}</p>{shown.to_html(index=False, escape=True)}<p>{escape(tail)}</p>",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says of one piece of evidence: one sentence with number, unit and threshold.

    `facts` are the figures and names behind the sentence, for the diagnosis to reason on.
    """

    check: str
    arguments: Mapping[str, Json]
    status: Status
    summary: str
    source: str
    evidence: str
    facts: Mapping[str, Json] = field(default_factory=dict)

    def record(self) -> dict[str, Json]:
        return {
            "check": self.check,
            "arguments": dict(self.arguments),
            "status": str(self.status),
            "summary": self.summary,
            "source": self.source,
            "evidence": self.evidence,
            "facts": dict(self.facts),
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        return {
            "text/plain": f"{self.status.upper():8} {self.source}: {self.summary}",
            "text/html": f"<p>{badge(self.status)} <b>{escape(self.source)}</b> {escape(self.summary)}</p>",
            MIME: {"finding": self.record()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A mitigation that fits a hypothesis: `kind` names its module and function, `arguments` what it would act on."""

    kind: str
    source: str
    arguments: Mapping[str, Json]
    why: str

    def record(self) -> dict[str, Json]:
        return {"kind": self.kind, "source": self.source, "arguments": dict(self.arguments), "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One cause on one subject, with what speaks for it and against it."""

    cause: str
    title: str
    category: Category
    subject: Mapping[str, Json]
    confidence: Literal["confident", "likely", "possible", "undetermined"]
    because: str
    supports: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()
    would_settle: tuple[str, ...] = ()
    mitigations: tuple[Suggestion, ...] = ()

    def record(self) -> dict[str, Json]:
        return {
            "cause": self.cause,
            "title": self.title,
            "category": self.category,
            "subject": dict(self.subject),
            "confidence": self.confidence,
            "because": self.because,
            "supports": list(self.supports),
            "contradicts": list(self.contradicts),
            "would_settle": list(self.would_settle),
            "mitigations": [m.record() for m in self.mitigations],
        }


COLOURS = {
    Status.OK: "#1a7f37",
    Status.WARN: "#9a6700",
    Status.CRITICAL: "#cf222e",
    Status.UNKNOWN: "#6e7781",
}


def badge(status: Status) -> str:
    """A coloured word, the same in notebooks and reports."""
    style = f"background:{COLOURS[status]};color:#fff;padding:1px 8px;border-radius:9px;font-size:85%"
    return f'<span style="{style}">{status}</span>'


def worst(findings: "list[Finding] | tuple[Finding, ...]") -> Status:
    """The worst known status; `unknown` only where nothing is known at all."""
    known = [f.status for f in findings if f.status is not Status.UNKNOWN]
    return max(known, key=STATUS_RANK.__getitem__) if known else Status.UNKNOWN
