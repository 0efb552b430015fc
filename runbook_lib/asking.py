"""Asks many systems many questions at once, under one wall-clock end.

Each source gets a few lanes: daemon threads, each with one connection, which take the source's questions in turn, so
that a diagnosis never takes more than `LANES` connections of a system in trouble. A lane that hangs is left behind and
its source is not asked again while it does. Answers reach the sink as they come, in the caller's thread.
"""

import heapq
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from runbook_lib import checks, drivers, queries, sources
from runbook_lib.archive.codec import coerce
from runbook_lib.drivers import threads
from runbook_lib.errors import DriverError, UsageError
from runbook_lib.model import Coverage, Evidence, Finding, Json, Outcome, Target
from runbook_lib.profile import Profile, Source
from runbook_lib.queries import Query
from runbook_lib.secrets import redactor
from runbook_lib.window import now

LANES = 2
SHARE_OF_DEADLINE = 0.8
"""A single statement gets this share of the deadline, so that its own time-out comes before ours."""

Sink = Callable[[Evidence, Finding], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`ask` is `system.query`; `source` empty means every source of that system; `check` empty means the same name."""

    ask: str
    source: str = ""
    params: Mapping[str, Json] = field(default_factory=dict)
    check: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)

    @property
    def check_name(self) -> str:
        return self.check or self.ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question put to one source, with its parameters bound."""

    question: Question
    query: Query
    source: Source
    params: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a lane hands back: rows, or the error."""

    asked: Asked
    target: Target
    observed_at: datetime
    took: timedelta
    answer: sources.Answer | DriverError


Replies = SimpleQueue[Reply | Exception]
_stuck: dict[str, set[threading.Thread]] = {}
"""Lanes that were left behind, by source address: asked again only when they have ended."""


def spread(questions: Iterable[Question], profile: Profile) -> list[Asked]:
    """Each question to each source that it is meant for. Raises UsageError or ParameterError."""
    asked = []
    for question in questions:
        query = queries.load(question.ask)
        checks.find(question.check_name)
        meant = [s for s in profile.sources.values() if s.kind == query.system]
        if question.source:
            meant = [s for s in meant if s.name == question.source]
            if not meant:
                raise UsageError(f"{question.ask}: {profile.path} has no {query.system} source {question.source!r}")
        params = query.bind(question.params)
        asked += [Asked(question=question, query=query, source=s, params=params) for s in meant]
    return asked


def ask(
    questions: Sequence[Question],
    profile: Profile,
    *,
    label: str,
    deadline: float,
    sink: Sink,
    silent: Mapping[str, str] | None = None,
) -> list[tuple[Evidence, Finding]]:
    """Puts all questions and judges what comes back; ends after `deadline` seconds whatever hangs.

    The list is in the order of the questions. What did not come back is evidence too: `timed_out`. Sources named in
    `silent` (with the reason) timed out a moment ago: they are not waited for a second time.
    """
    asked = spread(questions, profile)
    end = time.monotonic() + deadline
    came: Replies = SimpleQueue()
    waiting = list(asked)
    lanes: dict[str, list[threading.Thread]] = {}
    for name, group in itertools.groupby(sorted(asked, key=lambda a: a.source.name), key=lambda a: a.source.name):
        lanes[name] = _open_lanes(list(group), came, silent or {}, label=label, end=end)
    results: dict[int, tuple[Evidence, Finding]] = {}
    while waiting:
        try:
            reply = came.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        if isinstance(reply, Exception):
            raise reply
        waiting = [a for a in waiting if a is not reply.asked]
        results[id(reply.asked)] = _judge(reply, profile, sink)
    for late in waiting:
        results[id(late)] = _judge(_silence(late, deadline), profile, sink)
    for name, opened in lanes.items():
        _stuck.setdefault(name, set()).update(t for t in opened if t.is_alive())
    return [results[id(a)] for a in asked]


def _open_lanes(
    group: list[Asked], came: Replies, silent: Mapping[str, str], *, label: str, end: float
) -> list[threading.Thread]:
    name = group[0].source.name
    _stuck[name] = {t for t in _stuck.get(name, set()) if t.is_alive()}
    if _stuck[name] or name in silent:
        reason = silent.get(name, "an earlier question to it still hangs")
        for asked in group:
            came.put(_failed(asked, DriverError(Outcome.TIMED_OUT, reason)))
        return []
    agenda = Agenda(group)
    return [
        threads.start(f"ask-{name}-{n}", lambda: _lane(agenda, came, label=label, end=end))
        for n in range(min(LANES, len(group)))
    ]


class Agenda:
    """The questions of one source, each when its time has come (a sampled one has two times)."""

    def __init__(self, group: list[Asked]) -> None:
        self._lock = threading.Lock()
        self._count = itertools.count()
        self._heap: list[tuple[float, int, Asked, tuple[Reply, ...]]] = []
        # Sampled questions first: the others are asked while the interval passes.
        for asked in sorted(group, key=lambda a: -a.query.sample):
            self.add(0.0, asked, ())

    def add(self, when: float, asked: Asked, before: tuple[Reply, ...]) -> None:
        with self._lock:
            heapq.heappush(self._heap, (when, next(self._count), asked, before))

    def take(self) -> tuple[float, Asked, tuple[Reply, ...]] | None:
        with self._lock:
            if not self._heap:
                return None
            when, _, asked, before = heapq.heappop(self._heap)
            return when, asked, before


def _lane(agenda: Agenda, came: Replies, *, label: str, end: float) -> None:
    first = agenda.take()
    if first is None:
        return
    source = first[1].source
    item: tuple[float, Asked, tuple[Reply, ...]] | None = first
    try:
        with sources.session(source, label=label, seconds=_left(end)) as session:
            while item is not None:
                _turn(item, session, agenda, came, end)
                item = agenda.take()
    except DriverError as error:
        while item is not None:
            came.put(_failed(item[1], error))
            item = agenda.take()
    except Exception as error:  # noqa: BLE001 - our own bug: the asking thread raises it, instead of a silent time-out
        came.put(error)


def _left(end: float) -> float:
    return max(0.1, (end - time.monotonic()) * SHARE_OF_DEADLINE)


def _turn(
    item: tuple[float, Asked, tuple[Reply, ...]],
    session: sources.Session,
    agenda: Agenda,
    came: Replies,
    end: float,
) -> None:
    when, asked, before = item
    time.sleep(max(0.0, when - time.monotonic()))
    observed_at, begun = now(), time.monotonic()
    try:
        answer: sources.Answer | DriverError = session.ask(asked.query, asked.params, _left(end))
    except DriverError as error:
        answer = error
    took = timedelta(seconds=time.monotonic() - begun)
    reply = Reply(asked=asked, target=session.target, observed_at=observed_at, took=took, answer=answer)
    if asked.query.sample and not before and not isinstance(answer, DriverError):
        agenda.add(begun + asked.query.sample, asked, (reply,))
    else:
        came.put(_joined(before, reply))


def _joined(before: tuple[Reply, ...], last: Reply) -> Reply:
    """Two samples as one answer, the sample's number in front of each row."""
    if not before or isinstance(last.answer, DriverError):
        return last
    first = before[0]
    assert not isinstance(first.answer, DriverError)  # noqa: S101 - only answers are kept for joining
    rows = [(n, *row) for n, answer in enumerate((first.answer, last.answer)) for row in answer.rows]
    cut = first.answer.coverage.truncated or last.answer.coverage.truncated
    answer = replace(last.answer, rows=rows, coverage=replace(last.answer.coverage, truncated=cut))
    took = last.observed_at - first.observed_at
    return replace(last, answer=answer, observed_at=first.observed_at, took=took)


def _failed(asked: Asked, error: DriverError) -> Reply:
    address = drivers.of(asked.source).address(asked.source)
    target = Target(source=asked.source.name, kind=asked.source.kind, address=address)
    return Reply(asked=asked, target=target, observed_at=now(), took=timedelta(0), answer=error)


def _silence(asked: Asked, deadline: float) -> Reply:
    late = DriverError(Outcome.TIMED_OUT, f"no answer within {deadline:g} s")
    return replace(_failed(asked, late), took=timedelta(seconds=deadline))


def _judge(reply: Reply, profile: Profile, sink: Sink) -> tuple[Evidence, Finding]:
    question = reply.asked.question
    evidence = evidence_of(reply)
    arguments = {**profile.thresholds.get(question.check_name, {}), **question.arguments}
    finding = checks.find(question.check_name)(evidence, **arguments)
    sink(evidence, finding)
    return evidence, finding


def evidence_of(reply: Reply) -> Evidence:
    """The reply as evidence: coerced to the declared schema and redacted, before anything judges or stores it."""
    query, answer = reply.asked.query, reply.answer
    outcome, reason, text, coverage = Outcome.ANSWERED, "", query.text, Coverage(answered=0)
    data = coerce([], query.schema)
    if isinstance(answer, DriverError):
        outcome, reason = Outcome(answer.outcome), answer.reason
    else:
        text, coverage = answer.text, answer.coverage
        try:
            data = coerce([redactor.clean(row) for row in answer.rows], query.schema)
        except (ValueError, TypeError, OverflowError) as error:
            outcome, reason, coverage = (
                Outcome.FAILED,
                f"the answer does not fit its columns: {error}",
                Coverage(answered=0),
            )
    return Evidence(
        id=uuid.uuid4().hex[:12],
        question=query.question,
        target=reply.target,
        query=redactor.redact(text),
        params=dict(reply.asked.params),
        observed_at=reply.observed_at,
        took=reply.took,
        outcome=outcome,
        reason=redactor.redact(reason),
        coverage=coverage,
        schema=query.schema,
        data=data,
    )
