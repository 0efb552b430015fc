"""Changes as plans: proposed, approved, applied by a process of its own, verified, undone.

The path is the same for all; what is particular is one short module a kind, found by name: see `kind`.
"""

from collections.abc import Sequence

from runbook_lib import queries
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import DriverError, PlanRefusedError
from runbook_lib.mitigations import kind as kinds
from runbook_lib.mitigations.deadline import within
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.mitigations.plan import VALID, Draft, Permission, Plan, plan_id, store
from runbook_lib.model import Finding, Status, Suggestion, Target
from runbook_lib.profile import Profile
from runbook_lib.window import now

LONGEST_LOOK = 30.0
"""Seconds for reading the present state: several queries under their own limits, and a log-in."""
BAD = (Status.WARN, Status.CRITICAL)


def propose(suggestion: Suggestion, profile: Profile, incident: IncidentFolder, findings: Sequence[Finding]) -> Plan:
    """Makes the suggestion a plan, reading the present state as reader; stores it and changes nothing.

    Raises PlanRefusedError where there is nothing to do (any more), the target's identity cannot be had, or the actor
    lacks a permission (which).
    """
    if suggestion.source not in profile.sources:
        raise PlanRefusedError(f"{profile.path} has no source {suggestion.source}")
    source = profile.sources[suggestion.source]
    system, kind = kinds.find(suggestion.kind)
    actor = system.actor(source)

    def read() -> tuple[Target, Draft, tuple[Permission, ...]]:
        with system.reading(source, f"runbook/{incident.id}") as (connection, target):
            draft = kind.plan(connection, suggestion.arguments, actor)
            return target, draft, kind.permissions(connection, draft.preconditions, actor)

    try:
        target, draft, permissions = within(LONGEST_LOOK, f"propose-{suggestion.kind}", read)
    except DriverError as error:
        raise PlanRefusedError(f"{source.name} could not be asked what would be changed: {error}") from error
    if target.identity is None:
        raise PlanRefusedError(f"the identity of {source.name} is not known, so nothing on it may be changed")
    refuse_missing(permissions)
    plan = _plan(suggestion, profile, incident, findings, kind, target, draft, permissions)
    return store(incident, plan)


def refuse_missing(permissions: Sequence[Permission]) -> None:
    """Raises PlanRefusedError with what the actor would need."""
    missing = [p.what for p in permissions if not p.held]
    if missing:
        raise PlanRefusedError(f"the actor lacks a permission: {'; '.join(missing)}")


def _plan(
    suggestion: Suggestion,
    profile: Profile,
    incident: IncidentFolder,
    findings: Sequence[Finding],
    kind: kinds.Kind,
    target: Target,
    draft: Draft,
    permissions: tuple[Permission, ...],
) -> Plan:
    preconditions = dict(draft.preconditions)
    calls, identity = (
        kind.calls(preconditions),
        plan_id(suggestion.kind, target, kind.calls(preconditions), preconditions),
    )
    while Ledger.of(incident, identity).begun:
        # A plan is carried out once. The same change after it was undone, or failed, is another plan.
        preconditions["after"] = identity
        identity = plan_id(suggestion.kind, target, calls, preconditions)
    created = now()
    return Plan(
        id=identity,
        kind=suggestion.kind,
        incident=incident.id,
        source=suggestion.source,
        profile=str(profile.path),
        why=suggestion.why,
        arguments=dict(suggestion.arguments),
        target=target,
        title=draft.title,
        present=draft.present,
        calls=calls,
        preconditions=preconditions,
        permissions=permissions,
        dry_run=draft.dry_run,
        blast_radius=draft.blast_radius,
        expected=draft.expected,
        undo=kind.undo(preconditions),
        checks=_checks(kind, findings),
        symptoms=_symptoms(kind, suggestion.source, findings),
        created_at=created,
        expires_at=created + VALID,
    )


def _checks(kind: kinds.Kind, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Those of the kind, and all that led here: a mitigation must not make anything else worse."""
    asked = [f.check for f in findings if f.check in queries.names()]
    return tuple(dict.fromkeys([*kind.CHECKS, *asked]))


def _symptoms(kind: kinds.Kind, source: str, findings: Sequence[Finding]) -> tuple[str, ...]:
    """What this kind mends and was bad on this source; where nothing was, the first of what it mends."""
    latest = {f.check: f.status for f in findings if f.source == source}
    bad = tuple(check for check in kind.SYMPTOMS if latest.get(check) in BAD)
    return bad or kind.SYMPTOMS[:1]


__all__ = ["propose", "refuse_missing"]
