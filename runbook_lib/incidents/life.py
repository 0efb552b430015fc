"""What happens to an incident, each an event on its timeline."""

from runbook_lib.archive import timeline
from runbook_lib.archive.store import Archive, IncidentFolder, new_id
from runbook_lib.archive.timeline import Event
from runbook_lib.errors import RefusedError, UsageError
from runbook_lib.incidents.state import Phase, state_of
from runbook_lib.text import clean

LONGEST_TITLE = 200


def declare(
    archive: Archive, title: str, *, profile: str, detected_by: str = "user", incident: str = ""
) -> IncidentFolder:
    """Opens an incident, under a new id or the given one. Raises RefusedError where that one was declared before."""
    title = clean(title, LONGEST_TITLE)
    if not title:
        raise UsageError("an incident wants a title: what is seen, in a few words")
    folder = archive.incident(incident or new_id("inc"))
    if any(e.kind == "declared" for e in timeline.read(folder)):
        raise RefusedError(f"incident {folder.id} was declared already")
    data = {"title": title, "profile": profile, "detected_by": detected_by}
    timeline.append(folder, "declared", f"Incident declared: {title}", data=data)
    return folder


def note(incident: IncidentFolder, text: str) -> Event:
    """What a person wants remembered."""
    if not text.strip():
        raise UsageError("a note wants text")
    return timeline.append(incident, "note", text)


def escalate(incident: IncidentFolder, to: str, why: str) -> Event:
    """Somebody was called: who, and why."""
    return timeline.append(incident, "escalated", f"Escalated to {to}: {why}", data={"to": to, "why": why})


def resolve(incident: IncidentFolder, resolution: str) -> Event:
    """Ends the incident. Raises RefusedError where it ended before."""
    if state_of(incident).phase is Phase.RESOLVED:
        raise RefusedError(f"incident {incident.id} is resolved already")
    return timeline.append(incident, "resolved", f"Resolved: {resolution}", data={"resolution": resolution})
