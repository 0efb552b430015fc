"""HTTP: one GET to each endpoint, all side by side. An endpoint that refuses is a row, for that is what it says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from runbook_lib.drivers import http, threads
from runbook_lib.model import Json, Outcome, Target
from runbook_lib.profile import Source
from runbook_lib.queries import Query
from runbook_lib.sources import Answer

MOST_BODY = 300
SLOW_MS = 500.0


@dataclass(frozen=True, slots=True)
class Session:
    endpoints: Mapping[str, str]
    label: str
    target: Target

    def ask(self, query: Query, params: Mapping[str, Json], seconds: float) -> Answer:  # noqa: ARG002 - it has none
        patience = seconds * 0.8
        calls = {name: partial(_steady, url, self.label, patience / 2) for name, url in self.endpoints.items()}
        replies = threads.side_by_side(calls, patience)
        silent = http.Reply(outcome=Outcome.TIMED_OUT, reason=f"no answer within {patience:.1f} s")
        rows = []
        for name, url in self.endpoints.items():
            r = replies.get(name, silent)
            body = r.body[:MOST_BODY]
            rows.append((name, url, str(r.outcome), r.status, r.latency_ms, r.tls_days_left, r.reason, body))
        return Answer(rows=rows, text="\n".join(f"curl -sS -m {patience:.0f} {u}" for u in self.endpoints.values()))


def _steady(url: str, agent: str, seconds: float) -> http.Reply:
    """A slow answer is asked for once more, and the quicker counts: one may be our own machine's slowness, two are not.

    A second answer that is an error, or none, counts as it is.
    """
    first = http.get(url, agent=agent, seconds=seconds)
    if not _good(first) or (first.latency_ms or 0.0) < SLOW_MS:
        return first
    second = http.get(url, agent=agent, seconds=seconds)
    return first if _good(second) and (second.latency_ms or 0.0) > (first.latency_ms or 0.0) else second


def _good(reply: http.Reply) -> bool:
    return reply.status is not None and reply.status < 400


@contextmanager
def session(source: Source, *, label: str, seconds: float) -> Iterator[Session]:  # noqa: ARG001 - nothing to open
    # What answers at a URL cannot prove who it is, and nothing is changed through it.
    target = Target(source=source.name, kind="http", address=http.address(source))
    yield Session(source.parse(http.Settings).endpoints, label, target)
