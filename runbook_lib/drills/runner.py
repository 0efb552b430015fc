"""Carries out drills: break, investigate, approve, mend, verify, write up; by the command line, as people do."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from runbook_lib import incidents, sandbox
from runbook_lib.archive import timeline
from runbook_lib.archive.store import Archive, IncidentFolder, new_id
from runbook_lib.drills.grade import Grade, misses
from runbook_lib.drills.scenario import ESCALATE, NOTHING, Drill
from runbook_lib.errors import RunFailedError
from runbook_lib.mitigations.approval import approve
from runbook_lib.model import Json
from runbook_lib.reports import post_mortem
from runbook_lib.window import now

LONGEST_RUN = 240
Progress = Callable[[str, str], None]


def run_all(
    drills: Sequence[Drill], archive: Archive, states: Path, *, seed: int, jobs: int, progress: Progress
) -> list[Grade]:
    """All drills, `jobs` sandboxes side by side, each carrying out its share in turn. Grades in the order given."""
    lanes = [list(drills[n::jobs]) for n in range(min(jobs, len(drills)))]
    with ThreadPoolExecutor(len(lanes)) as pool:
        futures = [
            pool.submit(_lane, lane, archive, states / f"sandbox-{n}", seed + n, progress)
            for n, lane in enumerate(lanes)
        ]
        grades = {g.drill: g for future in futures for g in future.result()}
    return [grades[d.name] for d in drills]


def _lane(drills: list[Drill], archive: Archive, state: Path, seed: int, progress: Progress) -> list[Grade]:
    def tell(text: str) -> None:
        progress(drills[0].name, f"sandbox: {text}")

    status = sandbox.up(state, seed=seed, owner=True, progress=tell)
    try:
        return [_drill(d, archive, status, seed, lambda text, d=d: progress(d.name, text)) for d in drills]  # type: ignore[misc]
    finally:
        sandbox.down(state)


def _drill(drill: Drill, archive: Archive, status: sandbox.Status, seed: int, tell: Callable[[str], None]) -> Grade:
    name = new_id(f"drill-{drill.name}").replace("_", "-")
    tell("looking at the healthy shop")
    calm = incidents.declare(
        archive, f"Before drill {drill.name}", profile="sandbox", detected_by="drill", incident=f"{name}-before"
    )
    baseline = _notebook("triage", calm, archive, status)
    tell(f"breaking it: {drill.fault}")
    truth = sandbox.break_fault(status.state, drill.fault, seed=seed).as_dict()
    title = f"Drill: the shop has trouble ({name})"
    incident = incidents.declare(archive, title, profile="sandbox", detected_by="drill", incident=name)
    tell(f"until somebody notices: {drill.unnoticed_seconds:g} s")
    time.sleep(drill.unnoticed_seconds)
    begun = now()
    tell("triage")
    found = _notebook("triage", incident, archive, status)
    tell(f"found {(found.get('verdict') or {}).get('title', 'nothing')}")
    _mend(drill, incident, archive, status, found, tell)
    tell("writing the post-mortem, healing the shop")
    incidents.resolve(incident, "the drill is over")
    written = post_mortem.write(incident)
    sandbox.heal(status.state)
    return _grade(drill, incident, begun, truth, baseline, found, written.html)


def _mend(
    drill: Drill,
    incident: IncidentFolder,
    archive: Archive,
    status: sandbox.Status,
    found: dict[str, Json],
    tell: Callable[[str], None],
) -> None:
    """Approves the fitting plan, if it was proposed, and carries it out in the symptom's own notebook."""
    if drill.mitigation == NOTHING:
        return
    plan = next((p for p in found["plans"] if p["kind"] == drill.mitigation), None)
    if drill.mitigation == ESCALATE or plan is None:
        tell(f"{drill.notebook}: no plan to carry out")
        _notebook(drill.notebook, incident, archive, status)
        return
    tell(f"approving {plan['title']}")
    approve(incident, plan["id"])
    tell(f"{drill.notebook}: {plan['title']}; does it help?")
    _notebook(drill.notebook, incident, archive, status, approve=plan["id"], hold_seconds=drill.hold_seconds)


def _notebook(
    name: str, incident: IncidentFolder, archive: Archive, status: sandbox.Status, **parameters: object
) -> dict[str, Any]:
    """Runs a notebook in a process of its own. Raises RunFailedError with its last words."""
    options = [f"--profile={status.profile}", f"--incident={incident.id}", f"--archive={archive.root}", "--json"]
    given = [word for key, value in parameters.items() for word in ("-p", f"{key}={value}")]
    command = [sys.executable, "-m", "runbook_lib", "run", name, *options, *given]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_RUN, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise RunFailedError(f"runbook run {name} for {incident.id} ended with {done.returncode}: {said}")
    findings: dict[str, Any] = json.loads(done.stdout)
    return findings


def _grade(
    drill: Drill,
    incident: IncidentFolder,
    begun: datetime,
    truth: dict[str, Json],
    baseline: dict[str, Json],
    found: dict[str, Json],
    report: Path,
) -> Grade:
    events = {e.kind: dict(e.data) for e in timeline.read(incident)}
    verdicts = [e.at for e in timeline.read(incident) if e.kind == "verdict"]
    first = min((datetime.fromisoformat(f["observed_at"]) for f in found["findings"]), default=None)
    wrong = misses(drill, truth, baseline, found, events)
    verdict = found.get("verdict") or {}
    return Grade(
        drill=drill.name,
        fault=drill.fault,
        found=str(verdict.get("cause", "nothing")),
        subject=", ".join(f"{k} {verdict.get('subject', {}).get(k)}" for k in drill.subject),
        seconds_to_first_evidence=(first - begun).total_seconds() if first else None,
        seconds_to_verdict=(verdicts[0] - begun).total_seconds() if verdicts else None,
        mitigation=_mitigation(drill, events),
        helped=str(events.get("verified", {}).get("verdict", "-")),
        evidence=str(incident.path),
        post_mortem=str(report),
        passed=not wrong,
        why="; ".join(wrong),
    )


def _mitigation(drill: Drill, events: dict[str, dict[str, Json]]) -> str:
    if "applied" in events:
        return str(events["applied"].get("kind", drill.mitigation))
    if "escalation_advised" in events:
        return f"escalate to {events['escalation_advised'].get('to')}"
    return "none"
