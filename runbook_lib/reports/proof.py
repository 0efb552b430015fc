"""The evidence behind a verdict: which finding, which query, when; and the pictures that it gives."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from runbook_lib import charts
from runbook_lib.archive.store import RunFolder
from runbook_lib.errors import StateError
from runbook_lib.model import Evidence, Outcome
from runbook_lib.reports.notebook import Picture
from runbook_lib.reports.record import Record, RunRecord
from runbook_lib.reports.story import LOUD, Story
from runbook_lib.text import clean

CHARTS: Mapping[str, Callable[[Evidence], charts.Chart]] = {
    "postgres.blocking_tree": charts.blocking_tree,
    "postgres.connections_by_application": charts.connections_by_application,
    "postgres.statements": charts.statement_times,
    "postgres.sequential_scans": charts.sequential_scans,
    "postgres.idle_in_transaction": charts.idle_transactions,
    "http.health": charts.endpoint_latency,
}
OVER_TIME = "postgres.connection_starts"
ABOUT_CONNECTIONS = ("connection_leak", "connections_exhausted")
MOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of the verdict; `finding` is what it rests on, None where that cannot be told."""

    says: str
    run: RunRecord | None
    finding: Record | None


def sentences(story: Story, name: str) -> list[Sentence]:
    """The hypothesis' `supports` or `contradicts`, each with the finding that it was made from."""
    return [
        Sentence(says=clean(text, 600), run=story.run, finding=_finding(story, str(text)))
        for text in story.hypothesis.get(name) or []
    ]


def _finding(story: Story, sentence: str) -> Record | None:
    """The finding of the check that the sentence names first, on the verdict's own source if it is among them."""
    if story.run is None:
        return None
    head = sentence.partition(":")[0].removesuffix(" does not show it")
    before = [f for f in story.run.records("findings") if story.shows_fault(f.get("observed_at"))]
    found = [f for f in before if f.get("check") == head]
    said = [f for f in found if str(f.get("summary")) in sentence]
    subject = story.hypothesis.get("subject") or {}
    same = [f for f in found if f.get("source") == subject.get("source")]
    return next(iter(said or same or found), None)


def queries(story: Story) -> list[Record]:
    """The findings behind the verdict, each once: for the exact queries."""
    found = [s.finding for name in ("supports", "contradicts") for s in sentences(story, name)]
    return list({str(f.get("evidence")): f for f in found if f}.values())


def pictures(story: Story) -> tuple[list[Picture], list[str]]:
    """Charts of the verdict's run from before the change, and of what the change did; then what went wrong with it."""
    trouble: list[str] = []
    found: list[Picture] = []
    if story.run:
        try:
            found = [
                _picture(chart, f"From the evidence of run {story.run.id}.") for chart in _charts(story, story.run)
            ][:MOST]
        except (StateError, OSError) as error:
            trouble.append(f"no charts: the evidence of {story.run.id} cannot be read: {error}")
    if story.verified:
        data = story.verified.data
        chart = charts.before_after(data.get("before") or [], data.get("after") or [])
        found.append(_picture(chart, "Before and after the change."))
    return found, trouble


def _picture(chart: charts.Chart, where: str) -> Picture:
    return Picture(png=chart.png(), heading="", caption=where, alt=repr(chart).removeprefix("Chart: "))


def _charts(story: Story, run: RunRecord) -> Iterator[charts.Chart]:
    """Of what was bad, or is about the cause; a question that went unanswered has its place in words already."""
    bad = {str(f.get("question") or f.get("check")) for f in run.records("findings") if f.get("status") in LOUD}
    seen = _answers(run.folder, story.before)
    if OVER_TIME in seen and (story.cause in ABOUT_CONNECTIONS or "postgres.connections" in bad):
        yield charts.connections_over_time(seen[OVER_TIME], marks=_marks(story))
    for question, chart in CHARTS.items():
        if question in seen and question in bad:
            yield chart(seen[question])


def _answers(run: RunFolder, before: datetime | None) -> dict[str, Evidence]:
    """The last answer to each question from before the change: it shows the fault at its fullest."""
    answered = (e for e in run.evidence() if e.outcome is Outcome.ANSWERED and not e.data.empty)
    return {e.question: e for e in answered if before is None or e.observed_at <= before}


def _marks(story: Story) -> dict[str, datetime]:
    named = {"declared": story.declared, "plan applied": story.applied}
    return {name: event.at for name, event in named.items() if event}
