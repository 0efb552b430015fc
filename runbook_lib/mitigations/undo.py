"""Takes back what a plan changed, from the archive alone: also where the process that applied it was killed."""

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import DriverError, PlanRefusedError
from runbook_lib.mitigations import kind as kinds
from runbook_lib.mitigations.apply import MARGIN, acting, source_of
from runbook_lib.mitigations.approval import signed_approvals
from runbook_lib.mitigations.deadline import within
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.mitigations.plan import Plan, load
from runbook_lib.model import Json
from runbook_lib.profile import Profile, Source


def undo(incident: IncidentFolder, profile: Profile, plan_id: str) -> dict[str, Json]:
    """Undoes the plan and says what was done: `{plan, ok, by, steps: [{call, ok, result}]}`.

    Raises PlanRefusedError where it was never applied, is being applied now, was undone already, or cannot be undone
    (why); WrongTargetError and DriverError as `apply` does.
    """
    plan = load(incident, plan_id)
    ledger = Ledger.of(incident, plan_id)
    calls = _permitted(incident, plan, ledger)
    source = source_of(plan, profile)
    longest = kinds.find(plan.kind)[1].LONGEST * len(calls) + MARGIN
    return within(longest, f"undo-{plan.id}", lambda: _undo(incident, source, plan, ledger, calls))


def _permitted(incident: IncidentFolder, plan: Plan, ledger: Ledger) -> tuple[str, ...]:
    if not ledger.begun:
        raise PlanRefusedError(f"plan {plan.id} was never applied: there is nothing to undo")
    record = ledger.read()
    if isinstance(plan.undo, str):
        raise PlanRefusedError(f"plan {plan.id} {plan.undo}")
    if (record["undone"] or {}).get("ok"):
        raise PlanRefusedError(f"plan {plan.id} {ledger.story()}")
    if record["state"] == "applying" and ledger.writer_lives():
        raise PlanRefusedError(f"plan {plan.id} {ledger.story()}: wait for it")
    if not signed_approvals(incident, plan):
        raise PlanRefusedError(f"plan {plan.id} was never approved as it stands now, so its undo is not trusted")
    return plan.undo


def _undo(
    incident: IncidentFolder, source: Source, plan: Plan, ledger: Ledger, calls: tuple[str, ...]
) -> dict[str, Json]:
    system, _ = kinds.find(plan.kind)
    record = ledger.read()
    with acting(incident, source, plan, "undo") as (connection, by):
        if record["state"] == "applying":
            system.end_session(connection, record["session"])
        system.take_lease(connection)
        begun = f"Plan {plan.id} is being undone by {by}"
        timeline.append(incident, "undo_begun", begun, data={"plan": plan.id, "by": by})
        steps: list[dict[str, Json]] = []
        for call in calls:
            steps.append(_step(system, connection, call))
            if not steps[-1]["ok"]:
                break
    ok = len(steps) == len(calls) and all(s["ok"] for s in steps)
    told = {"plan": plan.id, "ok": ok, "by": by, "steps": steps}
    ledger.undone(told)
    text = f"Plan {plan.id} undone by {by}" if ok else f"The undo of plan {plan.id} failed: {steps[-1]['result']}"
    timeline.append(incident, "undone", text, data=told)
    return told


def _step(system: kinds.System, connection: kinds.Connection, call: str) -> dict[str, Json]:
    try:
        return {"call": call, "state": "done", "ok": True, "result": system.execute(connection, call)}
    except DriverError as error:
        return {"call": call, "state": "failed", "ok": False, "result": f"{error.outcome}: {error.reason}"}
