"""What was proposed, approved, carried out, and what came of it."""

from dataclasses import dataclass

from runbook_lib.archive.timeline import Event
from runbook_lib.charts.comparison import Pair, figure_of, pairs
from runbook_lib.reports.fate import fate
from runbook_lib.reports.record import Record
from runbook_lib.reports.story import Story
from runbook_lib.text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One plan from its proposal to what came of it."""

    plan: str
    title: str
    kind: str
    source: str
    calls: tuple[str, ...]
    proposed: Event
    fate: tuple[str, ...]
    applied: Event | None
    verified: Event | None
    compared: tuple[Pair, ...]

    @property
    def steps(self) -> list[Record]:
        return [s for s in (self.applied.data.get("steps") or [] if self.applied else []) if isinstance(s, dict)]


def changes(story: Story) -> list[Change]:
    """All plans that were proposed, those that were applied first; the same plan proposed twice is one."""
    proposed: dict[str, Event] = {}
    for event in story.all("plan_proposed"):
        proposed.setdefault(str(event.data.get("plan")), event)
    for event in (*story.all("apply_begun"), *story.all("applied")):
        proposed.setdefault(str(event.data.get("plan")), event)
    found = [_change(story, plan, event) for plan, event in proposed.items()]
    return sorted(found, key=lambda c: c.applied is None)


def _change(story: Story, plan: str, proposed: Event) -> Change:
    def last(kind: str) -> Event | None:
        return next((e for e in reversed(story.events) if e.kind == kind and str(e.data.get("plan")) == plan), None)

    verified = last("verified")
    data = proposed.data
    compared = pairs(verified.data.get("before") or [], verified.data.get("after") or []) if verified else []
    return Change(
        plan=plan,
        title=str(data.get("title") or f"plan {plan}"),
        kind=str(data.get("kind") or ""),
        source=str(data.get("source") or ""),
        calls=tuple(str(c) for c in data.get("calls") or []),
        proposed=proposed,
        fate=fate(story.incident, plan, story.events),
        applied=last("applied"),
        verified=verified,
        compared=tuple(compared),
    )


def compared(finding: Record | None) -> str:
    """A cell of the before/after table: the finding's main figure, else its sentence."""
    return "" if finding is None else figure_of(finding) or clean(finding.get("summary", ""), 160)
