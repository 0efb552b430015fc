"""Did it help? The same questions again, with the load still on, until the answers hold still."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from runbook_lib import queries
from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder, RunFolder
from runbook_lib.asking import Question
from runbook_lib.mitigations.plan import Plan
from runbook_lib.model import COLOURS, MIME, STATUS_RANK, Finding, Json, Status, badge
from runbook_lib.window import spoken

Ask = Callable[[list[Question]], list[Finding]]
Key = tuple[str, str]
EVERY = 1.0
BAD = (Status.WARN, Status.CRITICAL)
VERDICT_COLOURS = {"helped": COLOURS[Status.OK], "worse": COLOURS[Status.CRITICAL]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """`verdict` is helped, no change or worse, `why` one sentence; `held_seconds` how long it had held at the end."""

    plan: str
    verdict: str
    why: str
    held_seconds: float
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]

    def record(self) -> dict[str, Json]:
        return {
            "plan": self.plan,
            "verdict": self.verdict,
            "why": self.why,
            "held_seconds": self.held_seconds,
            "before": [f.record() for f in self.before],
            "after": [f.record() for f in self.after],
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        text = f"Plan {self.plan}: {self.verdict}. {self.why}"
        colour = VERDICT_COLOURS.get(self.verdict, COLOURS[Status.WARN])
        head = f"<p style='border-left:6px solid {colour};padding:6px 12px;font-size:130%'>{escape(text)}</p>"
        then = _latest(self.before)
        rows = [(then[_key(f)], f) for f in self.after if _key(f) in then and then[_key(f)].status is not f.status]
        cells = "".join(
            f"<tr><td>{escape(a.check)} on {escape(a.source)}</td><td>{badge(b.status)} {escape(b.summary)}</td>"
            f"<td>{badge(a.status)} {escape(a.summary)}</td></tr>"
            for b, a in rows
        )
        table = f"<table><tr><th>check</th><th>before</th><th>after</th></tr>{cells}</table>" if rows else ""
        lines = [f"  {a.check} on {a.source}: {b.status} -> {a.status}: {a.summary}" for b, a in rows]
        return {
            "text/plain": "\n".join([text, *lines]),
            "text/html": head + table,
            MIME: {"verified": self.record()},
        }


def verify(
    plan: Plan,
    incident: IncidentFolder,
    run: RunFolder,
    before: Sequence[Finding],
    ask: Ask,
    *,
    hold_seconds: float,
    timeout_seconds: float,
    every: float = EVERY,
) -> Verification:
    """Asks the plan's questions every `every` seconds until they have held for `hold_seconds` on end, or
    `timeout_seconds` are over; writes the verdict onto the timeline.

    They hold while the plan's symptoms are ok and nothing else is worse than before; what cannot be seen is never ok.
    `ask` puts the questions and records the evidence. "helped" also wants that a symptom was bad before.
    """
    questions, then = _questions(plan, before), _latest(before)
    end, since = time.monotonic() + timeout_seconds, None
    while True:
        after = ask(questions)
        moment = time.monotonic()
        wrong = _wrong(plan, then, _latest(after))
        since = None if wrong else since or moment
        held = moment - since if since else 0.0
        if (since and held >= hold_seconds) or moment + every > end:
            break
        time.sleep(every)
    verdict, why = _verdict(plan, then, _latest(after), wrong, held=held, wanted=hold_seconds)
    found = Verification(
        plan=plan.id, verdict=verdict, why=why, held_seconds=held, before=tuple(before), after=tuple(after)
    )
    timeline.append(incident, "verified", f"Plan {plan.id}: {verdict}. {why}", data={"run": run.id, **found.record()})
    return found


def _questions(plan: Plan, before: Iterable[Finding]) -> list[Question]:
    """The plan's checks, with the arguments that they were judged with before, where that was one set."""
    given: dict[str, list[Mapping[str, Json]]] = {}
    for finding in before:
        if dict(finding.arguments) not in given.setdefault(finding.check, []):
            given[finding.check].append(dict(finding.arguments))
    asked = [check for check in plan.checks if check in queries.names()]
    return [Question(ask=c, arguments=given[c][0] if len(given.get(c, [])) == 1 else {}) for c in asked]


def _key(finding: Finding) -> Key:
    return finding.check, finding.source


def _latest(findings: Iterable[Finding]) -> dict[Key, Finding]:
    return {_key(f): f for f in findings}


def _symptoms(plan: Plan, findings: Mapping[Key, Finding]) -> list[tuple[str, Status]]:
    keys = [(check, plan.source) for check in plan.symptoms]
    return [(key[0], findings[key].status if key in findings else Status.UNKNOWN) for key in keys]


def _wrong(plan: Plan, before: Mapping[Key, Finding], after: Mapping[Key, Finding]) -> list[str]:
    """What speaks against it having helped, now."""
    wrong = [f"{check} is {status}" for check, status in _symptoms(plan, after) if status is not Status.OK]
    wrong += [f"{check} on {source} can no longer be seen" for check, source in _lost(plan, before, after)]
    return wrong + _worse(before, after)


def _lost(plan: Plan, before: Mapping[Key, Finding], after: Mapping[Key, Finding]) -> list[Key]:
    """What was seen before and is not now, besides the symptoms."""
    symptoms = {(check, plan.source) for check in plan.symptoms}
    unseen = [k for k, f in after.items() if f.status is Status.UNKNOWN and k not in symptoms]
    return [k for k in unseen if k in before and before[k].status is not Status.UNKNOWN]


def _worse(before: Mapping[Key, Finding], after: Mapping[Key, Finding]) -> list[str]:
    """Known answers that are worse than the known ones before; one that was not asked before was ok."""
    worse = []
    for key, finding in after.items():
        then = before[key].status if key in before else Status.OK
        if finding.status in BAD and STATUS_RANK[finding.status] > STATUS_RANK.get(then, STATUS_RANK[Status.CRITICAL]):
            worse.append(f"{finding.check} on {finding.source} was {then} and is {finding.status}: {finding.summary}")
    return worse


def _verdict(
    plan: Plan,
    before: Mapping[Key, Finding],
    after: Mapping[Key, Finding],
    wrong: list[str],
    *,
    held: float,
    wanted: float,
) -> tuple[str, str]:
    worse = _worse(before, after)
    if worse:
        return "worse", "; ".join(worse)
    if wrong:
        return "no change", "; ".join(wrong)
    if held < wanted:
        return "no change", f"well for {spoken(held)} only when the time was over; {spoken(wanted)} were asked for"
    bad = [check for check, status in _symptoms(plan, before) if status in BAD]
    if not bad:
        return "no change", f"{', '.join(plan.symptoms)} had not been bad before"
    return "helped", f"{', '.join(bad)} ok for {spoken(held)}, and nothing else got worse"
