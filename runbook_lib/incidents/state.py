"""The state of an incident, folded from its timeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.archive.timeline import Event
from runbook_lib.errors import StateError


class Phase(StrEnum):
    """How far an incident has come."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MITIGATING = "mitigating"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


PHASES = {
    "declared": Phase.INVESTIGATING,
    "apply_begun": Phase.MITIGATING,
    "applied": Phase.MITIGATING,
    "resolved": Phase.RESOLVED,
}


SURE = {"confident": 0, "likely": 1, "possible": 2, "undetermined": 3}
NO_CAUSE = ("healthy", "undetermined")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`targets` maps a source to the identity that answered first: no other may answer for it later."""

    incident: str
    title: str
    profile: str
    phase: Phase
    declared_at: datetime
    resolved_at: datetime | None
    cause: str
    events: int
    targets: dict[str, str]


def state_of(incident: IncidentFolder) -> State:
    """Raises StateError where nobody declared it."""
    events = timeline.read(incident)
    declared = next((e for e in events if e.kind == "declared"), None)
    if declared is None:
        raise StateError(f"incident {incident.id} was never declared: runbook incident declare TITLE")
    phase = Phase.INVESTIGATING
    targets: dict[str, str] = {}
    for event in events:
        phase = _phase(phase, event)
        if event.kind == "target":
            targets.setdefault(str(event.data["source"]), str(event.data["identity"]))
    verdict = verdict_of(events)
    ended = [e.at for e in events if e.kind == "resolved"]
    return State(
        incident=incident.id,
        title=str(declared.data.get("title", "")),
        profile=str(declared.data.get("profile", "")),
        phase=phase,
        declared_at=declared.at,
        resolved_at=ended[-1] if ended else None,
        cause=str(verdict.data.get("title", "")) if verdict else "",
        events=len(events),
        targets=targets,
    )


def verdict_of(events: Sequence[Event]) -> Event | None:
    """The surest named cause from before the first change; the latest of several as sure."""
    changed = next((i for i, e in enumerate(events) if e.kind in {"apply_begun", "applied"}), len(events))
    verdicts = [e for e in events[:changed] if e.kind == "verdict"] or [e for e in events if e.kind == "verdict"]
    named = [e for e in verdicts if e.data.get("cause") not in NO_CAUSE]
    chosen = named or verdicts
    return min(reversed(chosen), key=lambda e: SURE.get(str(e.data.get("confidence")), 9)) if chosen else None


def _phase(phase: Phase, event: Event) -> Phase:
    if event.kind == "verdict" and phase is Phase.INVESTIGATING:
        known = event.data.get("cause") not in NO_CAUSE
        return Phase.IDENTIFIED if known else phase
    if event.kind == "undone":
        return Phase.IDENTIFIED if event.data.get("ok") is not False else phase
    if event.kind == "verified" and event.data.get("verdict") == "helped":
        return Phase.MONITORING
    return PHASES.get(event.kind, phase)
