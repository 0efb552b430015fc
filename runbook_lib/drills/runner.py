"""Carries out drills: break, investigate, approve, mend, verify, write up."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from runbook_lib import drivers, incidents, profile, sandbox
from runbook_lib.archive import timeline
from runbook_lib.archive.store import Archive, IncidentFolder, new_id
from runbook_lib.drills.grade import Grade, misses
from runbook_lib.drills.scenario import ESCALATE, NOTHING, Drill
from runbook_lib.drivers import threads
from runbook_lib.errors import RunbookError, RunFailedError
from runbook_lib.execution import warm
from runbook_lib.execution.runner import run_notebook
from runbook_lib.mitigations.approval import approve
from runbook_lib.model import Json
from runbook_lib.reports import post_mortem
from runbook_lib.window import now

LONGEST_RUN = 240
LONGEST_DOWN = 30
Progress = Callable[[str, str], None]


def run_all(
    drills: Sequence[Drill], archive: Archive, states: Path, *, seed: int, jobs: int, progress: Progress
) -> list[Grade]:
    """All drills, `jobs` sandboxes side by side, each taking the next drill in turn. Grades in the order given.

    The lanes are daemon threads: Ctrl-C ends the process at once, and with it every sandbox and kernel it owns.
    All sandboxes have the same seed, so that it does not matter which one a drill falls to.
    """
    done: SimpleQueue[Grade | Exception] = SimpleQueue()
    todo = deque(drills)

    def work(n: int) -> None:
        try:
            _lane(todo, done, archive, states / f"sandbox-{n}", seed, progress)
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            done.put(error)

    grades: dict[str, Grade] = {}
    lanes = []
    with warm.kernels():
        try:
            lanes += [threads.start(f"drill-{n}", partial(work, n)) for n in range(min(jobs, len(drills)))]
            while len(grades) < len(drills):
                result = done.get()
                if isinstance(result, Exception):
                    raise result
                grades[result.drill] = result
            for lane in lanes:
                lane.join(LONGEST_DOWN)
        finally:
            todo.clear()
            for n in range(len(lanes)):
                if (states / f"sandbox-{n}").is_dir():  # a lane that still runs has not taken its own down
                    sandbox.down(states / f"sandbox-{n}")
    return [grades[d.name] for d in drills]


def _lane(
    todo: deque[Drill],
    done: SimpleQueue[Grade | Exception],
    archive: Archive,
    state: Path,
    seed: int,
    progress: Progress,
) -> None:
    status = sandbox.up(state, seed=seed, owner=True, progress=lambda text: progress(state.name, text))
    try:
        drivers.check_settings(profile.load(str(status.profile)))  # so that this process knows what to redact
        while (drill := _next(todo)) is not None:
            tell = partial(progress, drill.name)
            try:
                done.put(_drill(drill, archive, status, seed, tell))
            except RunbookError as error:
                tell(f"broke off: {error}")
                done.put(Grade.broken_off(drill, str(error), str(archive.root)))
                sandbox.heal(status.state)
    finally:
        sandbox.down(state)


def _next(todo: deque[Drill]) -> Drill | None:
    try:
        return todo.popleft()
    except IndexError:
        return None


def _drill(drill: Drill, archive: Archive, status: sandbox.Status, seed: int, tell: Callable[[str], None]) -> Grade:
    name = new_id(f"drill-{drill.name}").replace("_", "-")
    tell("looking at the healthy shop")
    calm = incidents.declare(
        archive, f"Before drill {drill.name}", profile="sandbox", detected_by="drill", incident=f"{name}-before"
    )
    baseline = _notebook("triage", calm, status)
    tell(f"breaking it: {drill.fault}")
    truth = sandbox.break_fault(status.state, drill.fault, seed=seed).as_dict()
    title = f"Drill: the shop has trouble ({name})"
    incident = incidents.declare(archive, title, profile="sandbox", detected_by="drill", incident=name)
    tell(f"until somebody notices: {drill.unnoticed_seconds:g} s")
    time.sleep(drill.unnoticed_seconds)
    begun = now()
    tell("triage")
    found = _notebook("triage", incident, status)
    tell(f"found {(found.get('verdict') or {}).get('title', 'nothing')}")
    _mend(drill, incident, status, found, tell)
    tell("writing the post-mortem, healing the shop")
    incidents.resolve(incident, "the drill is over")
    written = post_mortem.write(incident)
    sandbox.heal(status.state)
    return _grade(drill, incident, begun, truth, baseline, found, written.html)


def _mend(
    drill: Drill,
    incident: IncidentFolder,
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
        _notebook(drill.notebook, incident, status)
        return
    tell(f"approving {plan['title']}")
    approve(incident, plan["id"])
    tell(f"{drill.notebook}: {plan['title']}; does it help?")
    _notebook(drill.notebook, incident, status, approve=plan["id"], hold_seconds=drill.hold_seconds)


def _notebook(name: str, incident: IncidentFolder, status: sandbox.Status, **parameters: Json) -> dict[str, Json]:
    """What `runbook run` does, in this process. Raises RunFailedError with the run's last words."""
    given = {"profile": str(status.profile), **parameters}
    result = run_notebook(name, parameters=given, incident=incident, timeout=LONGEST_RUN)
    if result.state != "completed" or result.findings is None:
        raise RunFailedError(f"{name} for {incident.id} {result.state}: {result.reason}; see {result.folder.path}")
    return dict(result.findings)


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
