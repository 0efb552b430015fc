"""The post-mortem of an incident, written from its timeline and its evidence; people add what only they know."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import IncidentFolder, write_atomic
from runbook_lib.errors import ArchiveError, StateError
from runbook_lib.reports import action_items, changes, html, people, proof, prose, sections, story
from runbook_lib.reports.notebook import Picture
from runbook_lib.reports.record import RunRecord
from runbook_lib.reports.rendering import render
from runbook_lib.reports.silences import Silence, gather
from runbook_lib.reports.story import Story


@dataclass(frozen=True, slots=True, kw_only=True)
class PostMortem:
    """Where it was written."""

    markdown: Path
    html: Path


def write(incident: IncidentFolder) -> PostMortem:
    """Writes post_mortem.md, post_mortem.html and the charts in post_mortem/; may be called again at any time.

    What people wrote between markers in post_mortem.md stays. Raises ArchiveError where the incident has no timeline or
    a marker is not closed, StateError where an event cannot be read.
    """
    path = incident.path / "post_mortem.md"
    written = people.read(path)
    told = story.tell(incident)
    if not told.events:
        raise ArchiveError(f"incident {incident.id} has no timeline in {incident.path}: nothing to write from")
    pictures, trouble = proof.pictures(told)
    values = _values(told, pictures, trouble)
    actions = people.actions(written.get(people.ACTIONS), values.pop("proposed"))
    texts = {name: written.get(name, prompt) for name, prompt in people.PROMPTS.items()} | {people.ACTIONS: actions}
    _reports(told)
    files = _save(incident.path / "post_mortem", pictures)
    blocks = {name: people.block(name, text) for name, text in texts.items()}
    people.write(path, render("post_mortem.md", people=blocks, files=files, **values))
    write_atomic(path.with_suffix(".html"), render("post_mortem.html", people=texts, **values))
    return PostMortem(markdown=path, html=path.with_suffix(".html"))


def _values(told: Story, pictures: list[Picture], trouble: list[str]) -> dict[str, Any]:
    measures = sections.impact(told)
    changed = changes.changes(told)
    subject = told.hypothesis.get("subject") or {}
    return {
        "story": told,
        "summary": prose.summary(told),
        "helped": prose.helped,
        "phases": sections.phases(told),
        "impact": measures,
        "lines": sections.lines(told),
        "confidence": html.confidence(told.hypothesis),
        "supports": proof.sentences(told, "supports"),
        "contradicts": proof.sentences(told, "contradicts"),
        "queries": proof.queries(told),
        "unanswered": _unanswered(told),
        "others": _others(told),
        "changes": changed,
        "compared": changes.compared,
        "pictures": pictures,
        "runs": [_run(run) for run in told.runs],
        "chain": timeline.verify(told.incident),
        "trouble": [*trouble, *(f"{run.id}: {t}" for run in told.runs for t in run.trouble)],
        "proposed": action_items.propose(told.cause, subject, _hindrances(told, changed, measures)),
    }


def _unanswered(told: Story) -> list[Silence]:
    return gather(told.verdict.data.get("unanswered") or [] if told.verdict else [])


def _others(told: Story) -> list[Any]:
    """What else was considered when the verdict was reached."""
    known = told.run.records("hypotheses") if told.run else []
    return [h for h in known if h.get("title") != told.hypothesis.get("title")]


def _hindrances(told: Story, changed: list[changes.Change], measures: list[sections.Measure]) -> dict[str, list[str]]:
    subject = told.hypothesis.get("subject") or {}
    # Where the cause is that the source does not answer, mending the cause is what gives the access back.
    dead = subject.get("source") if told.cause in action_items.NO_ANSWER else None
    silent = [s for s in _unanswered(told) if not s.source or s.source != dead]
    no_help = [c for c in changed if c.applied and (c.verified is None or c.verified.data.get("verdict") != "helped")]
    return {
        "unanswered": [f"{s.source} ({s.reason})" if s.source else s.reason for s in silent],
        "escalated to": [str(e.data.get("to")) for e in told.all("escalated")],
        "did not help": [c.title for c in no_help],
        "not measured": [m.what.lower() for m in measures if m.finding is None],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A line of the appendix; `wrong` is what no longer is as it was sealed."""

    record: RunRecord
    digest: str
    wrong: tuple[str, ...]


def _run(run: RunRecord) -> Run:
    sealed = run.folder.path / manifest.MANIFEST
    digest = hashlib.sha256(sealed.read_bytes()).hexdigest() if sealed.is_file() else ""
    try:
        wrong = manifest.verify(run.folder)
    except (StateError, KeyError) as error:
        wrong = [f"{run.id}: its manifest cannot be read: {error}"]
    return Run(record=run, digest=digest, wrong=tuple(wrong))


def _reports(told: Story) -> None:
    """A killed run had nobody left to write its report."""
    for run in told.runs:
        if run.state in ("killed", "by hand"):
            html.write(run.folder)


def _save(folder: Path, pictures: list[Picture]) -> list[str]:
    """Writes the charts, takes away those of an earlier time, and returns their paths beside the Markdown."""
    folder.mkdir(exist_ok=True)
    names = [f"chart-{number:02}.png" for number, _ in enumerate(pictures, 1)]
    for name, picture in zip(names, pictures, strict=True):
        (folder / name).write_bytes(picture.png)
    for old in folder.glob("chart-*.png"):
        if old.name not in names:
            old.unlink()
    return [f"{folder.name}/{name}" for name in names]
