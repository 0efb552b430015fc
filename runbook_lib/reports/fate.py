"""What became of a plan, in words: from the timeline, and from its own ledger where a process did not live to tell."""

from collections.abc import Iterator, Sequence

from runbook_lib.archive.store import IncidentFolder
from runbook_lib.archive.timeline import Event
from runbook_lib.errors import RunbookError
from runbook_lib.mitigations.ledger import Ledger


def fate(incident: IncidentFolder, plan: str, events: Sequence[Event]) -> tuple[str, ...]:
    """One sentence a step: approved, applied, undone; a change that was begun and never ended says so."""
    mine = {e.kind: e for e in events if str(e.data.get("plan")) == plan}
    return tuple(_sentences(incident, plan, mine))


def _sentences(incident: IncidentFolder, plan: str, mine: dict[str, Event]) -> Iterator[str]:
    approved = mine.get("approved")
    if approved:
        key = approved.data.get("fingerprint")
        yield f"approved {_when(approved)}" + (f", key {key}" if key else "")
    else:
        yield "not approved"
    if "applied" in mine:
        steps = [s for s in mine["applied"].data.get("steps") or [] if isinstance(s, dict)]
        done = sum(bool(s.get("ok")) for s in steps)
        failed = f" and FAILED after {done} of {len(steps)} calls" if mine["applied"].data.get("ok") is False else ""
        yield f"applied {_when(mine['applied'])}{failed}"
    elif "apply_begun" in mine:
        yield f"begun {_when(mine['apply_begun'])}; its end is not on the timeline: {_ledger(incident, plan)}"
    else:
        yield "not applied: nothing was changed by it"
    if "undone" in mine:
        verb = "the undo FAILED" if mine["undone"].data.get("ok") is False else "undone"
        yield f"{verb} {_when(mine['undone'])}"
    elif "undo_begun" in mine:
        yield f"an undo was begun {_when(mine['undo_begun'])}; its end is not on the timeline"


def _ledger(incident: IncidentFolder, plan: str) -> str:
    try:
        return f"it {Ledger.of(incident, plan).story()}"
    except (RunbookError, KeyError, OSError) as error:
        return f"what was done of it cannot be read: {error}"


def _when(event: Event) -> str:
    who = event.data.get("approver") or event.data.get("by") or event.actor
    return f"{event.at:%Y-%m-%d %H:%M:%S} UTC by {who}"
