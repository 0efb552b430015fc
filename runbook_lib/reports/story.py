"""An incident as a story, folded from its timeline and its runs; the post-mortem is written from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from runbook_lib import incidents
from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.archive.timeline import Event
from runbook_lib.model import Json
from runbook_lib.reports import record
from runbook_lib.reports.record import Record, RunRecord

NO_CAUSE = incidents.NO_CAUSE
TOUCHING = ("apply_begun", "applied")
LOUD = ("warn", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`verdict` is the event that named the cause, `run` the run it came from; None where there was none."""

    incident: IncidentFolder
    events: tuple[Event, ...]
    runs: tuple[RunRecord, ...]
    verdict: Event | None
    run: RunRecord | None

    def first(self, kind: str) -> Event | None:
        return next(self.all(kind), None)

    def last(self, kind: str) -> Event | None:
        return next((e for e in reversed(self.events) if e.kind == kind), None)

    def all(self, kind: str) -> Iterator[Event]:
        return (e for e in self.events if e.kind == kind)

    @property
    def declared(self) -> Event | None:
        return self.first("declared")

    @property
    def applied(self) -> Event | None:
        """The change that counts: the first one that helped, else the last one that was carried out."""
        carried_out = [e for e in self.all("applied") if e.data.get("ok") is not False]
        helped = {e.data.get("plan") for e in self.all("verified") if e.data.get("verdict") == "helped"}
        return next((e for e in carried_out if e.data.get("plan") in helped), carried_out[-1] if carried_out else None)

    @property
    def verified(self) -> Event | None:
        """The last word on whether that change helped."""
        plan = self.applied.data.get("plan") if self.applied else None
        return next((e for e in reversed(self.events) if e.kind == "verified" and e.data.get("plan") == plan), None)

    @property
    def touched(self) -> Event | None:
        """When the systems were first changed, or may have been."""
        return next((e for e in self.events if e.kind in TOUCHING), None)

    @property
    def named(self) -> Event | None:
        """When the cause was named first: later notebooks may only have agreed."""
        said = (e for e in self.all("verdict") if e.data.get("cause") == self.cause)
        return next(said, None) if self.verdict and self.cause not in NO_CAUSE else None

    @property
    def undone(self) -> Event | None:
        """That the change was taken back."""
        plan = self.applied.data.get("plan") if self.applied else None
        taken_back = (e for e in self.all("undone") if e.data.get("plan") == plan and e.data.get("ok") is not False)
        return next(taken_back, None) if plan else None

    @property
    def resolved(self) -> Event | None:
        return self.last("resolved")

    @property
    def title(self) -> str:
        return str(self._declared("title") or (self.events[0].text if self.events else self.incident.id))

    @property
    def profile(self) -> str:
        return str(self._declared("profile"))

    @property
    def severity(self) -> str:
        """As declared; empty where nobody said."""
        return str(self._declared("severity"))

    @property
    def detected_by(self) -> str:
        return str(self._declared("detected_by"))

    @property
    def cause(self) -> str:
        """The cause's id; `undetermined` where no verdict was reached."""
        return str(self.verdict.data.get("cause") or "undetermined") if self.verdict else "undetermined"

    @property
    def hypothesis(self) -> Record:
        """The verdict in full, from the run's findings; what the timeline holds of it where those are gone."""
        if self.verdict is None:
            return {}
        known = self.run.verdict if self.run else None
        return known if known and known.get("cause") == self.cause else self.verdict.data

    @property
    def before(self) -> datetime | None:
        """Until when observations show the incident itself: the first change."""
        return self.touched.at if self.touched else None

    def findings(self) -> list[tuple[RunRecord, Record]]:
        """All findings of all runs that were observed before anything was changed, each with its run."""
        return [
            (run, f) for run in self.runs for f in run.records("findings") if self.shows_fault(f.get("observed_at"))
        ]

    def shows_fault(self, observed: Json) -> bool:
        moment = _moment(observed)
        return self.before is None or moment is None or moment <= self.before

    def since(self, event: Event) -> float:
        """Seconds after the declaration."""
        return max((event.at - self.declared.at).total_seconds(), 0.0) if self.declared else 0.0

    def _declared(self, name: str) -> Json:
        return (self.declared.data.get(name) if self.declared else None) or ""


def _moment(text: Json) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def tell(incident: IncidentFolder) -> Story:
    """Raises StateError where the timeline cannot be read."""
    events = tuple(timeline.read(incident))
    runs = tuple(record.read(run) for run in incident.runs())
    verdict = incidents.verdict_of(events)
    wanted = verdict.data.get("run") if verdict else None
    run = next((r for r in runs if r.id == wanted), None)
    return Story(incident=incident, events=events, runs=runs, verdict=verdict, run=run)
