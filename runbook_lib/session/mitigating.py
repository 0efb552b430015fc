"""From the verdict to what is done about it: plans, approval, the change in a process of its own, did it help."""

from typing import TYPE_CHECKING

from runbook_lib import asking, charts, mitigations
from runbook_lib.archive import timeline
from runbook_lib.asking import Question
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.apply import apply_in_process
from runbook_lib.mitigations.approval import approval_of
from runbook_lib.mitigations.plan import Plan, load
from runbook_lib.mitigations.verify import verify
from runbook_lib.model import Evidence, Finding, Hypothesis
from runbook_lib.session import widgets
from runbook_lib.session.shown import Message, show

if TYPE_CHECKING:
    from runbook_lib.session.run import Run

ACTED_ON = ("confident", "likely")


def mitigate(run: "Run", hypothesis: Hypothesis, approve: str, *, hold_seconds: float, timeout_seconds: float) -> None:
    """Proposes what fits the hypothesis; carries out the plan named by `approve`, or offers the button."""
    plans = _plans(run, hypothesis)
    if not plans:
        _advise(run, hypothesis)
        if approve:
            raise PlanRefusedError(f"plan {approve} was not carried out: the verdict is now {hypothesis.title!r}")
        return

    def carry_out(plan: Plan) -> None:
        _carry_out(run, plan, hold_seconds, timeout_seconds)

    show(*plans)
    if approve:
        carry_out(_approved(run, approve, plans))
    elif widgets.interactive():
        for plan in plans:
            widgets.offer(run.incident, plan, carry_out)


def _approved(run: "Run", approve: str, plans: list[Plan]) -> Plan:
    """The plan as it was approved: it may name fewer sessions than one made now, but must be of a fitting kind."""
    plan = load(run.incident, approve)
    if (plan.kind, plan.source) not in {(p.kind, p.source) for p in plans}:
        fitting = ", ".join(p.title for p in plans)
        raise PlanRefusedError(f"plan {approve} ({plan.title}) does not fit the verdict now; what does: {fitting}")
    return plan


def _plans(run: "Run", hypothesis: Hypothesis) -> list[Plan]:
    if hypothesis.confidence not in ACTED_ON:
        return []
    plans = []
    for suggestion in hypothesis.mitigations:
        try:
            plan = mitigations.propose(suggestion, run.profile, run.incident, run.findings)
        except PlanRefusedError as error:
            show(Message(f"{suggestion.kind} is not possible: {error}", bad=True))
            continue
        plans.append(plan)
        told = {"kind": plan.kind, "source": plan.source, "title": plan.title}
        run.plans.append({"id": plan.id, **told})
        data = {"plan": plan.id, **told, "run": run.folder.id, "calls": list(plan.calls)}
        timeline.append(run.incident, "plan_proposed", f"Plan {plan.id} proposed: {plan.title}", data=data)
    return plans


def _advise(run: "Run", hypothesis: Hypothesis) -> None:
    """Where nothing fits: whom to call, and what to tell them."""
    if hypothesis.category == "healthy":
        show(Message("Nothing to mend: the verdict is healthy."))
        return
    first = run.profile.document.escalation[0] if run.profile.document.escalation else None
    to = first.contact if first else "somebody senior (the profile names nobody)"
    why = f"{hypothesis.title}; no mitigation of ours fits"
    data = {"to": to, "why": why, "run": run.folder.id}
    timeline.append(run.incident, "escalation_advised", f"Escalate to {to}: {why}", data=data)
    show(Message(f"No plan: escalate to {to}. Tell them: {hypothesis.title} ({hypothesis.because}).", bad=True))


def _carry_out(run: "Run", plan: Plan, hold_seconds: float, timeout_seconds: float) -> None:
    if approval_of(run.incident, plan) is None:
        raise PlanRefusedError(f"plan {plan.id} is not approved: runbook approve {run.incident.id} {plan.id}")
    before = list({(f.check, f.source): f for f in run.findings}.values())
    result = apply_in_process(run.incident, str(run.profile.path), plan.id)
    show(Message(f"Plan {plan.id} was carried out by {result['by']}; now the same questions again."))

    def ask(questions: list[Question]) -> list[Finding]:
        return [f for _, f in _again(run, questions)]

    try:
        outcome = verify(
            plan, run.incident, run.folder, before, ask, hold_seconds=hold_seconds, timeout_seconds=timeout_seconds
        )
    finally:
        run.save()
    show(outcome, charts.before_after([f.record() for f in outcome.before], [f.record() for f in outcome.after]))


def _again(run: "Run", questions: list[Question]) -> list[tuple[Evidence, Finding]]:
    def sink(evidence: Evidence, finding: Finding) -> None:
        run.folder.append_evidence(evidence)
        run.afterwards.append((evidence, finding))

    label = f"runbook/{run.incident.id}"
    return asking.ask(questions, run.profile, label=label, deadline=run.deadline, sink=sink)
