"""Carries out an approved plan: the only place where the actor logs in, in a process of its own.

Before the first change the archive holds the steps, none of them done, and the undo (in the plan). Each step is marked
before and after its call, so that after a kill -9 it is known what was done, what was not, and what is in doubt.
"""

import json
import subprocess
import sys
from typing import Any

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder, read_json, write_json
from runbook_lib.drivers import postgres
from runbook_lib.errors import DriverError, PlanRefusedError, RunbookError, WrongTargetError
from runbook_lib.mitigations import module_of
from runbook_lib.mitigations.approval import approval_of
from runbook_lib.mitigations.plan import Plan, load
from runbook_lib.model import Json
from runbook_lib.profile import Profile, Source
from runbook_lib.window import now

LOGIN_SECONDS = 5.0
LONGEST = 660.0
"""An index on a big table takes its time; longer than this a person should watch it."""


def apply(incident: IncidentFolder, profile: Profile, plan_id: str) -> dict[str, Json]:
    """Applies the plan and says what was done: `{plan, kind, ok, by, steps: [{call, state, result}]}`.

    Raises PlanRefusedError (not approved, expired, applied before, a precondition no longer holds, somebody else holds
    the lease), WrongTargetError, DriverError where the target cannot be reached as actor.
    """
    plan = load(incident, plan_id)
    source = _permitted(incident, profile, plan)
    label = f"runbook/{incident.id}/apply"
    with postgres.acting(source, application_name=label, seconds=LOGIN_SECONDS) as connection:
        target = postgres.identify(connection, source, LOGIN_SECONDS)
        if target.identity != plan.target["identity"]:
            raise WrongTargetError(f"{source.name} is {target.identity}, the plan is for {plan.target['identity']}")
        postgres.take_lease(connection)
        changed = module_of(plan.kind).broken(connection, plan)
        if changed:
            raise PlanRefusedError(f"plan {plan.id} no longer fits: {changed}; run the notebook again")
        by = postgres.session_user(connection)
        steps = _carry_out(incident, plan, connection)
    ok = all(s["state"] == "done" for s in steps)
    record = {"plan": plan.id, "kind": plan.kind, "ok": ok, "by": by, "steps": steps}
    done = sum(s["state"] == "done" for s in steps)
    text = f"Plan {plan.id} applied by {by}: {done} of {len(steps)} steps done"
    timeline.append(incident, "applied", text, data=record)
    return record


def _permitted(incident: IncidentFolder, profile: Profile, plan: Plan) -> Source:
    if _steps_file(incident, plan).exists():
        raise PlanRefusedError(f"plan {plan.id} was applied already: see {_steps_file(incident, plan)}")
    if approval_of(incident, plan) is None:
        raise PlanRefusedError(f"plan {plan.id} has no valid approval: runbook approve {incident.id} {plan.id}")
    if now() >= plan.expires_at:
        raise PlanRefusedError(f"plan {plan.id} expired at {plan.expires_at:%H:%M:%S} UTC: run the notebook again")
    if plan.source not in profile.sources:
        raise PlanRefusedError(f"{profile.path} has no source {plan.source}")
    return profile.sources[plan.source]


def _steps_file(incident: IncidentFolder, plan: Plan) -> Any:
    return incident.path / "plans" / f"{plan.id}.steps.json"


def _carry_out(incident: IncidentFolder, plan: Plan, connection: postgres.Connection) -> list[dict[str, Json]]:
    """Stops at the first failure; what follows stays `not done`."""
    steps: list[dict[str, Json]] = [{"call": call, "state": "not done", "result": ""} for call in plan.calls]
    path = _steps_file(incident, plan)
    write_json(path, {"plan": plan.id, "undo": list(plan.undo), "steps": steps}, new=True)
    run = module_of(plan.kind).run
    for step in steps:
        step["state"] = "begun"
        write_json(path, {"plan": plan.id, "undo": list(plan.undo), "steps": steps})
        try:
            step["result"] = run(connection, str(step["call"]))
            step["state"] = "done"
        except DriverError as error:
            step |= {"state": "failed", "result": f"{error.outcome}: {error.reason}"}
        write_json(path, {"plan": plan.id, "undo": list(plan.undo), "steps": steps})
        if step["state"] == "failed":
            break
    return steps


def steps_of(incident: IncidentFolder, plan: Plan) -> list[dict[str, Json]]:
    """What is known of an applied plan, also after the process was killed; empty where it never began."""
    path = _steps_file(incident, plan)
    return list(read_json(path)["steps"]) if path.exists() else []


def apply_in_process(incident: IncidentFolder, profile: str, plan_id: str) -> dict[str, Any]:
    """`runbook apply` as a process of its own, for kernels: the actor's credentials never enter this one.

    Raises PlanRefusedError with what it said.
    """
    command = [sys.executable, "-m", "runbook_lib", "apply", incident.id, plan_id, "--json"]
    command += ["--archive", str(incident.path.parent), "--profile", profile]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST, check=False, stdin=subprocess.DEVNULL
    )
    try:
        record: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        said = " ".join(done.stderr.split()) or f"runbook apply ended with {done.returncode}"
        raise PlanRefusedError(said.removeprefix("runbook: ")) from error
    if not record["ok"]:
        failed = next(s for s in record["steps"] if s["state"] != "done")
        raise PlanRefusedError(f"plan {plan_id} stopped at: {failed['call']}: {failed['result']}")
    return record


def undo(incident: IncidentFolder, profile: Profile, plan_id: str) -> dict[str, Json]:
    """Takes back what an applied plan changed, from the archive alone.

    Raises PlanRefusedError where it was never applied, or cannot be undone (why).
    """
    plan = load(incident, plan_id)
    if not steps_of(incident, plan):
        raise PlanRefusedError(f"plan {plan.id} was never applied: there is nothing to undo")
    if not plan.undo:
        raise PlanRefusedError(f"plan {plan.id} cannot be undone: {plan.irreversible}")
    source = profile.sources[plan.source]
    with postgres.acting(source, application_name=f"runbook/{incident.id}/undo", seconds=LOGIN_SECONDS) as connection:
        target = postgres.identify(connection, source, LOGIN_SECONDS)
        if target.identity != plan.target["identity"]:
            raise WrongTargetError(f"{source.name} is {target.identity}, the plan was for {plan.target['identity']}")
        postgres.take_lease(connection)
        run = module_of(plan.kind).run
        steps = [{"call": call, **_tried(run, connection, call)} for call in plan.undo]
    ok = all(s["state"] == "done" for s in steps)
    record = {"plan": plan.id, "ok": ok, "steps": steps}
    timeline.append(incident, "undone", f"Plan {plan.id} undone" if ok else f"Undo of {plan.id} failed", data=record)
    return record


def _tried(run: Any, connection: postgres.Connection, call: str) -> dict[str, Json]:
    try:
        return {"state": "done", "result": run(connection, call)}
    except RunbookError as error:
        return {"state": "failed", "result": str(error)}
