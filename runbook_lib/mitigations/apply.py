"""Carries out an approved plan: the only place where the actor logs in, in a process of its own.

Before the first change the archive holds the undo and the steps, none of them begun. Each step is marked before and
after its call, so that after a kill -9 it is known what was done, what was not, and what is in doubt.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import DriverError, PlanRefusedError, RunbookError, WrongTargetError
from runbook_lib.mitigations import kind as kinds
from runbook_lib.mitigations import refuse_missing
from runbook_lib.mitigations.approval import refuse_expired, required
from runbook_lib.mitigations.deadline import within
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.mitigations.plan import Plan, load
from runbook_lib.model import Json
from runbook_lib.profile import Profile, Source

MARGIN = 60.0
"""Seconds for logging in, the checks before and the clean-up after the calls themselves."""


def apply(incident: IncidentFolder, profile: Profile, plan_id: str) -> dict[str, Json]:
    """Applies the plan and says what was done: `{plan, kind, ok, by, steps: [{call, state, ok, result}]}`.

    Raises PlanRefusedError (not approved, expired, applied before, changed preconditions, missing permission, somebody
    else holds the lease), WrongTargetError, and DriverError where the actor cannot log in or the time is over.
    """
    plan = load(incident, plan_id)
    source = source_of(plan, profile)
    ledger = Ledger.of(incident, plan_id)
    ledger.refuse_again(plan)
    required(incident, plan)
    refuse_expired(plan)
    return within(longest(plan), f"apply-{plan.id}", lambda: _apply(incident, source, plan, ledger))


def longest(plan: Plan) -> float:
    """Seconds after which the process that applies it has ended, whatever hangs."""
    return float(kinds.find(plan.kind)[1].LONGEST * len(plan.calls) + MARGIN)


def source_of(plan: Plan, profile: Profile) -> Source:
    """The profile's source, once the plan's calls are those that its kind makes of its preconditions.

    So a plan that was written by hand cannot have anything else executed, approved or not.
    """
    _, kind = kinds.find(plan.kind)
    if plan.calls != kind.calls(plan.preconditions) or plan.undo != kind.undo(plan.preconditions):
        raise PlanRefusedError(f"plan {plan.id} holds other calls than {plan.kind} makes: it was not proposed by us")
    if plan.source not in profile.sources:
        raise PlanRefusedError(f"{profile.path} has no source {plan.source}")
    return profile.sources[plan.source]


@contextmanager
def acting(incident: IncidentFolder, source: Source, plan: Plan, verb: str) -> Iterator[tuple[kinds.Connection, str]]:
    """A session of the actor on the plan's own target, and who the server says we are. Raises WrongTargetError."""
    system, _ = kinds.find(plan.kind)
    with system.acting(source, f"runbook/{incident.id}/{verb}") as (connection, target):
        if target.identity != plan.target.identity:
            raise WrongTargetError(
                f"{source.name} at {target.address} is {target.identity}, plan {plan.id} is for {plan.target.identity}"
            )
        yield connection, str(system.session(connection)["by"])


def _apply(incident: IncidentFolder, source: Source, plan: Plan, ledger: Ledger) -> dict[str, Json]:
    system, kind = kinds.find(plan.kind)
    with acting(incident, source, plan, "apply") as (connection, by):
        system.take_lease(connection)
        refuse_missing(kind.permissions(connection, plan.preconditions, by))
        changed = kind.still_holds(connection, plan)
        if changed:
            raise PlanRefusedError(f"plan {plan.id} no longer fits: {changed}; run the notebook again")
        ledger.begin(plan, system.session(connection), longest(plan))
        begun = f"Plan {plan.id} is being applied by {by}: {len(plan.calls)} calls"
        timeline.append(incident, "apply_begun", begun, data={"plan": plan.id, "kind": plan.kind, "by": by})
        ok = _carry_out(plan, kind, connection, ledger)
    record = ledger.end("applied" if ok else "failed")
    steps = record["steps"]
    done = sum(s["state"] == "done" for s in steps)
    told = {"plan": plan.id, "kind": plan.kind, "ok": ok, "by": by, "steps": steps}
    text = f"Plan {plan.id} applied by {by}: {done} of {len(steps)} calls done"
    timeline.append(incident, "applied", text, data=told)
    return told


def _carry_out(plan: Plan, kind: kinds.Kind, connection: kinds.Connection, ledger: Ledger) -> bool:
    """Stops at the first failure; what follows stays `not begun`."""
    for number, call in enumerate(plan.calls):
        ledger.mark(number, state="begun")
        try:
            result = kind.apply(connection, plan, call)
        except DriverError as error:
            ledger.mark(number, state="failed", ok=False, result=f"{error.outcome}: {error.reason}")
            ledger.mark(number, left=_clean_up(plan, kind, connection))
            return False
        ledger.mark(number, state="done", ok=True, result=result)
    return True


def _clean_up(plan: Plan, kind: kinds.Kind, connection: kinds.Connection) -> str:
    try:
        return kind.clean_up(connection, plan)
    except DriverError as error:
        return f"what it left could not be taken away ({error}): runbook undo {plan.incident} {plan.id}"


def apply_in_process(
    incident: IncidentFolder, profile: str, plan_id: str, *, timeout_seconds: float | None = None
) -> dict[str, Any]:
    """`runbook apply` as a process of its own, for kernels: the actor's credentials never enter this one.

    Raises PlanRefusedError with what it said where it was refused, RunbookError where it failed or took too long.
    """
    plan = load(incident, plan_id)
    patience = timeout_seconds or longest(plan) + MARGIN
    command = [sys.executable, "-m", "runbook_lib", "apply", incident.id, plan_id, "--json"]
    command += ["--archive", str(incident.path.parent), "--profile", profile]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=patience, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise RunbookError(f"plan {plan_id} took more than {patience:g} s and was killed: see its steps") from error
    said = " ".join(done.stderr.split()).removeprefix("runbook: ") or f"runbook apply ended with {done.returncode}"
    if done.returncode == PlanRefusedError.exit_status:
        raise PlanRefusedError(said)
    if done.returncode != 0:
        raise RunbookError(said)
    record: dict[str, Any] = json.loads(done.stdout)
    return record
