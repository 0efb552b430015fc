"""Approval: a person signs exactly this plan, until exactly this moment."""

from dataclasses import dataclass
from datetime import datetime

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations import keys
from runbook_lib.mitigations.plan import Plan, load
from runbook_lib.window import now


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved: `approver` is a label, `fingerprint` the key that signed."""

    plan: str
    approver: str
    fingerprint: str
    until: datetime


def _message(incident: IncidentFolder, plan: Plan, until: str) -> str:
    return f"runbook approval\n{incident.id}\n{plan.digest}\n{until}"


def approve(incident: IncidentFolder, plan_id: str) -> Approval:
    """Signs the plan with this person's key and puts that on the timeline.

    Raises PlanRefusedError where the plan expired or was applied, ArchiveError where it is not there.
    """
    plan = load(incident, plan_id)
    if (incident.path / "plans" / f"{plan.id}.steps.json").exists():
        raise PlanRefusedError(f"plan {plan.id} was applied already")
    if now() >= plan.expires_at:
        raise PlanRefusedError(f"plan {plan.id} expired at {plan.expires_at:%H:%M:%S} UTC: run the notebook again")
    key = keys.own()
    until = plan.expires_at.isoformat()
    public = keys.public(key)
    data = {
        "plan": plan.id,
        "approver": timeline.whoami(),
        "fingerprint": keys.fingerprint(public),
        "public_key": public,
        "until": until,
        "signature": keys.sign(key, _message(incident, plan, until)),
    }
    text = f"Plan {plan.id} approved with key {data['fingerprint']}: {plan.title}"
    timeline.append(incident, "approved", text, data=data)
    return Approval(plan=plan.id, approver=data["approver"], fingerprint=data["fingerprint"], until=plan.expires_at)


def approval_of(incident: IncidentFolder, plan: Plan) -> Approval | None:
    """The latest approval of this plan whose signature holds and whose time is not over."""
    for event in reversed(timeline.read(incident)):
        data = event.data
        if event.kind != "approved" or data.get("plan") != plan.id:
            continue
        message = _message(incident, plan, str(data["until"]))
        until = datetime.fromisoformat(str(data["until"]))
        if now() < until and keys.signed(str(data["public_key"]), message, str(data["signature"])):
            fingerprint = keys.fingerprint(str(data["public_key"]))
            return Approval(plan=plan.id, approver=str(data["approver"]), fingerprint=fingerprint, until=until)
    return None
