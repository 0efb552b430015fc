"""The report of one run: one file, the verdict first, no scripts, no requests."""

from dataclasses import dataclass
from pathlib import Path

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import IncidentFolder, RunFolder, write_atomic
from runbook_lib.archive.timeline import Event
from runbook_lib.errors import StateError
from runbook_lib.reports import record
from runbook_lib.reports.fate import fate
from runbook_lib.reports.record import Record, RunRecord
from runbook_lib.reports.rendering import render
from runbook_lib.reports.silences import gather

CONFIDENCE = {
    "confident": "Confident",
    "likely": "Likely",
    "possible": "Possible, not more",
    "undetermined": "Undetermined",
}


def write(run: RunFolder) -> Path:
    """Writes report.html beside the evidence and returns its path.

    A run that left no findings gets a report of what is missing. A sealed report is left as it was sealed.
    """
    path = run.path / "report.html"
    if path.exists() and (run.path / manifest.MANIFEST).exists():
        return path
    read = record.read(run)
    events, trouble = _events(run)
    text = render(
        "run.html",
        run=read,
        state_words=record.STATES.get(read.state, ""),
        trouble=[*read.trouble, *trouble],
        confidence=confidence(read.verdict),
        others=[h for h in read.records("hypotheses") if h != read.verdict],
        asked=record.asked(read.records("findings")),
        plans=[_fate(plan, IncidentFolder(run.path.parent.parent), events) for plan in read.records("plans")],
        targets=_targets(read),
        window=_window(read),
        silences=gather(read.unanswered),
    )
    write_atomic(path, text)
    return path


def confidence(verdict: Record | None) -> str:
    word = str((verdict or {}).get("confidence") or "undetermined")
    return CONFIDENCE.get(word, word)


def _events(run: RunFolder) -> tuple[list[Event], list[str]]:
    """The incident's timeline; a run outside of an incident has none."""
    try:
        return timeline.read(IncidentFolder(run.path.parent.parent)), []
    except (StateError, OSError) as error:
        return [], [f"the timeline cannot be read, so what became of the plans is not known: {error}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """A proposed plan, and in words what became of it."""

    plan: Record
    words: tuple[str, ...]
    verdict: str


def _fate(plan: Record, incident: IncidentFolder, events: list[Event]) -> Fate:
    name = str(plan.get("id"))
    verified = [e.data for e in events if e.kind == "verified" and str(e.data.get("plan")) == name]
    verdict = str(verified[-1].get("verdict", "")) if verified else ""
    return Fate(plan=plan, words=fate(incident, name, events), verdict=verdict)


def _targets(read: RunRecord) -> list[tuple[str, str, str, str]]:
    """Source, kind, address and identity of each system; an identity that could not be had is said."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for finding in read.records("findings"):
        target, source = finding.get("target"), str(finding.get("source", ""))
        if isinstance(target, dict):
            row = (
                source,
                str(target.get("kind", "")),
                str(target.get("address", "")),
                str(target.get("identity") or ""),
            )
            if row[3] or source not in found:
                found[source] = row
    return sorted(found.values())


def _window(read: RunRecord) -> tuple[str, str]:
    """The first and the last moment at which something was observed."""
    moments = sorted(str(f["observed_at"]) for f in read.records("findings") if f.get("observed_at"))
    return (moments[0], moments[-1]) if moments else ("", "")
