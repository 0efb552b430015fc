"""Approval: a person signs exactly this plan, until exactly this moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations import keys
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.mitigations.plan import Plan, load
from runbook_lib.model import Json
from runbook_lib.window import now


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved: `approver` is a label, `fingerprint` the key that signed it."""

    plan: str
    approver: str
    fingerprint: str
    until: datetime


def _message(plan: Plan, approver: str, until: str) -> str:
    return f"runbook approval\n{plan.incident}\n{plan.id}\n{plan.digest}\n{approver}\n{until}"


def approve(incident: IncidentFolder, plan_id: str, *, key: Ed25519PrivateKey | None = None) -> Approval:
    """Signs the plan with this person's key and puts that on the timeline.

    Raises PlanRefusedError where the plan expired or was applied, ArchiveError where it is not there.
    """
    plan = load(incident, plan_id)
    Ledger.of(incident, plan_id).refuse_again(plan)
    refuse_expired(plan)
    key = key or keys.own()
    public, approver, until = keys.public(key), timeline.whoami(), plan.expires_at.isoformat()
    data = {
        "plan": plan.id,
        "approver": approver,
        "fingerprint": keys.fingerprint(public),
        "public_key": public,
        "until": until,
        "digest": plan.digest,
        "signature": keys.sign(key, _message(plan, approver, until)),
    }
    text = f"Plan {plan.id} approved by {approver} with key {data['fingerprint']}: {plan.title}"
    timeline.append(incident, "approved", text, data=data)
    return Approval(plan=plan.id, approver=approver, fingerprint=data["fingerprint"], until=plan.expires_at)


def refuse_expired(plan: Plan) -> None:
    if now() >= plan.expires_at:
        raise PlanRefusedError(f"plan {plan.id} expired at {plan.expires_at:%H:%M:%S} UTC: run the notebook again")


def approval_of(incident: IncidentFolder, plan: Plan) -> Approval | None:
    """The latest approval of exactly this plan whose signature holds and whose time is not over."""
    return next((a for a in signed_approvals(incident, plan) if now() < a.until), None)


def required(incident: IncidentFolder, plan: Plan) -> Approval:
    """The same, or PlanRefusedError with what is wrong."""
    held = approval_of(incident, plan)
    if held is not None:
        return held
    again = f"runbook approve {incident.id} {plan.id}"
    signed = signed_approvals(incident, plan)
    if signed:
        raise PlanRefusedError(f"the approval of plan {plan.id} expired at {signed[0].until:%H:%M:%S} UTC: {again}")
    if any(e.kind == "approved" and e.data.get("plan") == plan.id for e in timeline.read(incident)):
        raise PlanRefusedError(f"no approval of plan {plan.id} holds: the signature is not for this plan; {again}")
    raise PlanRefusedError(f"plan {plan.id} is not approved: {again}")


def signed_approvals(incident: IncidentFolder, plan: Plan) -> list[Approval]:
    """All whose signature holds, expired or not, the latest first."""
    events = [e for e in timeline.read(incident) if e.kind == "approved" and e.data.get("plan") == plan.id]
    found = (_verified(plan, event.data) for event in reversed(events))
    return [approval for approval in found if approval is not None]


def _verified(plan: Plan, data: Mapping[str, Json]) -> Approval | None:
    public, approver, until = (str(data.get(k)) for k in ("public_key", "approver", "until"))
    if not keys.signed(public, _message(plan, approver, until), str(data.get("signature"))):
        return None
    return Approval(
        plan=plan.id, approver=approver, fingerprint=keys.fingerprint(public), until=datetime.fromisoformat(until)
    )
