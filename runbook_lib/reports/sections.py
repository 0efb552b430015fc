"""The parts of a post-mortem that follow from a story: figures and sentences, no layout."""

import itertools
from dataclasses import dataclass
from datetime import datetime

from runbook_lib.archive.timeline import Event
from runbook_lib.reports import record
from runbook_lib.reports.record import Record, RunRecord
from runbook_lib.reports.story import LOUD, Story
from runbook_lib.text import clean, count
from runbook_lib.window import spoken

NOT_YET = "not yet"
NEVER = "did not happen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of the incident; `length` is spoken, or says that it has no end."""

    name: str
    start: datetime | None
    end: datetime | None
    length: str


def phases(story: Story) -> list[Phase]:
    """Declared, cause named, changed, shown to have helped, resolved; last the whole."""
    verified = story.verified if story.verified and story.verified.data.get("verdict") == "helped" else None
    steps = [
        ("until the cause was named", story.named),
        ("until something was changed", story.applied),
        ("until it was shown to have helped", verified),
        ("until it was resolved", story.resolved),
    ]
    found = []
    since = story.declared
    for name, event in steps:
        found.append(_phase(name, since, event, over=story.resolved is not None))
        since = event or since
    return [*found, _phase("in all", story.declared, story.resolved, over=False)]


def _phase(name: str, start: Event | None, end: Event | None, *, over: bool) -> Phase:
    length = NEVER if over else NOT_YET
    if start and end:
        seconds = (end.at - start.at).total_seconds()
        length = spoken(seconds) if seconds >= 0 else "before that already"
    return Phase(name=name, start=start.at if start and end else None, end=end.at if end else None, length=length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of the impact; `run` and `finding` are where it comes from."""

    what: str
    says: str
    run: RunRecord | None = None
    finding: Record | None = None


IMPACT = (
    ("Endpoints", ("http.health",)),
    ("Sessions waiting for locks", ("postgres.blocking_tree", "postgres.ungranted_locks")),
    ("Connections", ("postgres.connections",)),
    ("Database", ("postgres.reachability",)),
)


def impact(story: Story) -> list[Measure]:
    """What was hit, from the findings before the first change; `not measured` where nobody looked."""
    found = _worst(story)
    measures = []
    for what, checks in IMPACT:
        mine = [m for m in found if str((m.finding or {}).get("check")) in checks]
        measures += [Measure(what=what, says=m.says, run=m.run, finding=m.finding) for m in mine[:3]]
        if not mine:
            measures.append(Measure(what=what, says="not measured"))
    listed = {c for _, checks in IMPACT for c in checks}
    rest = [m for m in found if str((m.finding or {}).get("check")) not in listed]
    return [*measures, *(m for m in rest if (m.finding or {}).get("status") in LOUD)]


def _worst(story: Story) -> list[Measure]:
    """The worst finding of each check and source over all runs, worst first."""
    worst: dict[tuple[str, str], tuple[RunRecord, Record]] = {}
    for run, finding in story.findings():
        key = (str(finding.get("check")), str(finding.get("source")))
        if key not in worst or record.rank(finding.get("status")) > record.rank(worst[key][1].get("status")):
            worst[key] = (run, finding)
    ordered = sorted(worst.items(), key=lambda item: -record.rank(item[1][1].get("status")))
    return [
        Measure(what=f"{check} on {source}", says=str(finding.get("summary")), run=run, finding=finding)
        for (check, source), (run, finding) in ordered
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the timeline table."""

    at: datetime
    after: str
    kind: str
    text: str
    who: str


def lines(story: Story) -> list[Line]:
    """The timeline; findings of one run that follow each other are one row, the worst first."""
    rows = []
    for _, group in itertools.groupby(story.events, key=_together):
        events = list(group)
        rows.append(_line(story, events[0], events[0].text) if len(events) == 1 else _grouped(story, events))
    return rows


def _together(event: Event) -> tuple[str, str]:
    return ("finding", str(event.data.get("run"))) if event.kind == "finding" else ("one", event.id)


def _line(story: Story, event: Event, text: str) -> Line:
    after = spoken(story.since(event)) if story.declared and event.at >= story.declared.at else ""
    return Line(at=event.at, after=after, kind=event.kind.replace("_", " "), text=clean(text, 400), who=event.actor)


def _grouped(story: Story, group: list[Event]) -> Line:
    worst = max(group, key=lambda e: record.rank(e.data.get("status")))
    return _line(story, group[0], f"{clean(worst.text, 340)} (and {count(len(group) - 1, 'more finding')})")
