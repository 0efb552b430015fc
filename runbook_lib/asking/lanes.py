"""Lanes: daemon threads that put one source's questions to it in turn, over one connection each.

A source gets `LANES` of them, so that a diagnosis never takes more connections of a system in trouble. A lane that
hangs is left behind, and its source is not asked again while it does.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import SimpleQueue

from runbook_lib import drivers, sources
from runbook_lib.drivers import threads
from runbook_lib.errors import DriverError
from runbook_lib.model import Json, Outcome, Target
from runbook_lib.profile import Source
from runbook_lib.queries import Query
from runbook_lib.window import now

LANES = 2
SHARE_OF_DEADLINE = 0.8
"""A single statement gets this share of the deadline, so that its own time-out comes before ours."""


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


def open_lanes(
    group: list[Asked], came: Replies, silent: Mapping[str, str], *, label: str, end: float
) -> list[threading.Thread]:
    """Starts asking the questions of one source; their replies come into `came`."""
    source = group[0].source
    hang = {t for t in _stuck.pop(_address(source), set()) if t.is_alive()}
    if hang or source.name in silent:
        leave(source, hang)
        reason = silent.get(source.name, "an earlier question to it still hangs")
        for asked in group:
            came.put(failed(asked, DriverError(Outcome.TIMED_OUT, reason)))
        return []
    lanes = min(LANES, len(group))
    agenda = Agenda(group, lanes)
    return [
        threads.start(f"ask-{source.name}-{n}", lambda: _lane(agenda, came, label=label, end=end)) for n in range(lanes)
    ]


def leave(source: Source, opened: Iterable[threading.Thread]) -> None:
    """Remembers which of a source's lanes still hang."""
    _stuck.setdefault(_address(source), set()).update(t for t in opened if t.is_alive())


def _address(source: Source) -> str:
    return str(drivers.of(source).address(source))


class Agenda:
    """The questions of one source, each when its time has come (a sampled one has two times)."""

    def __init__(self, group: list[Asked], lanes: int) -> None:
        self.source = group[0].source
        self._lanes = lanes
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

    def leave(self) -> list[Asked]:
        """One lane less; the last one gets what nobody is left to ask."""
        with self._lock:
            self._lanes -= 1
            if self._lanes:
                return []
            left, self._heap = [asked for _, _, asked, _ in self._heap], []
            return left


def _lane(agenda: Agenda, came: Replies, *, label: str, end: float) -> None:
    """Asks until nothing is left or time is up. A lane that is not let in leaves its questions to the others."""
    try:
        with sources.session(agenda.source, label=label, seconds=_left(end)) as session:
            while time.monotonic() < end and (item := agenda.take()) is not None:
                _turn(item, session, agenda, came, end)
    except DriverError as error:
        for asked in agenda.leave():
            came.put(failed(asked, error))
    except Exception as error:  # noqa: BLE001 - our own bug: the asking thread raises it, instead of a silent time-out
        came.put(error)
    else:
        agenda.leave()


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


def failed(asked: Asked, error: DriverError) -> Reply:
    """The reply of a source that could not be asked."""
    address = drivers.of(asked.source).address(asked.source)
    target = Target(source=asked.source.name, kind=asked.source.kind, address=address)
    return Reply(asked=asked, target=target, observed_at=now(), took=timedelta(0), answer=error)
