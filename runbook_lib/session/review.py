"""Looking back at an incident from its archive; asks no system anything."""

from collections.abc import Callable
from html import escape

from runbook_lib import incidents
from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import Archive, IncidentFolder
from runbook_lib.errors import ArchiveError, StateError, UsageError
from runbook_lib.model import Json
from runbook_lib.reports import post_mortem
from runbook_lib.session import redaction
from runbook_lib.session.shown import Message, Table, show
from runbook_lib.workspace import default_archive

CHANGES = (
    "plan_proposed",
    "approved",
    "apply_begun",
    "applied",
    "verified",
    "undo_begun",
    "undone",
    "escalated",
    "escalation_advised",
    "resolved",
)


class Review:
    """One incident, read only but for `write`."""

    def __init__(self, incident: IncidentFolder) -> None:
        self.incident = incident
        self.events = timeline.read(incident)
        self.state = incidents.state_of(incident)

    def timeline(self) -> None:
        """Every event, and whether the chain holds."""
        show(Table(("UTC", "kind", "what", "who"), self._rows(lambda _: True)))
        wrong = timeline.verify(self.incident)
        show(*(Message(w, bad=True) for w in wrong))
        if not wrong:
            show(Message(f"{len(self.events)} events; every one is as its successors saw it."))

    def changes(self) -> None:
        """What was proposed, approved, carried out, and what came of it."""
        show(Table(("UTC", "kind", "what", "who"), self._rows(lambda kind: kind in CHANGES)))

    def _rows(self, wanted: Callable[[str], bool]) -> list[tuple[str, ...]]:
        return [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.kind, e.text, e.actor) for e in self.events if wanted(e.kind)]

    def runs(self, most: int) -> None:
        """The latest runs with their state and verdict."""
        rows = []
        for run in self.incident.runs()[-most:]:
            try:
                verdict = (run.findings().get("verdict") or {}).get("title", "no verdict")
            except (ArchiveError, StateError):
                verdict = "left no findings"
            rows.append((run.id, manifest.state_of(run), str(verdict)))
        show(Table(("run", "state", "verdict"), rows))

    def write(self) -> None:
        """Writes post_mortem.md and .html."""
        written = post_mortem.write(self.incident)
        show(Message(f"Written: {written.markdown} and {written.html}"))

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        state = self.state
        text = f"{state.incident}: {state.title} ({state.phase}), declared {state.declared_at:%Y-%m-%d %H:%M:%S} UTC"
        text += f", {state.events} events" + (f", cause: {state.cause}" if state.cause else "")
        return {"text/plain": text, "text/html": f"<p><b>{escape(text)}</b></p>"}


def open_review(incident: str, *, archive: str = "") -> Review:
    """Raises UsageError without an incident, ArchiveError where it is not there."""
    redaction.install()
    if not incident:
        raise UsageError("name the incident to write up: -p incident=ID")
    return Review(Archive.at(archive or default_archive()).incident(incident, must_exist=True))
