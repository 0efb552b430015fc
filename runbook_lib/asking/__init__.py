"""Asks many systems many questions at once, under one wall-clock end.

Answers reach the sink as they come, in the caller's thread.
"""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from queue import Empty, SimpleQueue

from runbook_lib import checks, queries
from runbook_lib.archive.codec import coerce
from runbook_lib.asking.lanes import Asked, Question, Replies, Reply, failed, leave, open_lanes
from runbook_lib.errors import DriverError, UsageError
from runbook_lib.model import Coverage, Evidence, Finding, Outcome, Target
from runbook_lib.profile import Profile, Source
from runbook_lib.secrets import redactor

__all__ = ["Asked", "Question", "Reply", "Sink", "ask", "evidence_of", "spread"]

Sink = Callable[[Evidence, Finding], None]


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
    opened: list[tuple[Source, list[threading.Thread]]] = []
    for _, grouped in itertools.groupby(sorted(asked, key=lambda a: a.source.name), key=lambda a: a.source.name):
        group = list(grouped)
        opened.append((group[0].source, open_lanes(group, came, silent or {}, label=label, end=end)))
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
    for source, threads in opened:
        leave(source, threads)
    return [results[id(a)] for a in asked]


def _silence(asked: Asked, deadline: float) -> Reply:
    late = DriverError(Outcome.TIMED_OUT, f"no answer within {deadline:g} s")
    return replace(failed(asked, late), took=timedelta(seconds=deadline))


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
        target=Target(**redactor.clean(asdict(reply.target))),
        query=redactor.redact(text),
        params=redactor.clean(dict(reply.asked.params)),
        observed_at=reply.observed_at,
        took=reply.took,
        outcome=outcome,
        reason=redactor.redact(reason),
        coverage=coverage,
        schema=query.schema,
        data=data,
    )
