"""Did it help? The same questions again, with the load still on, until every answer holds still."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder, RunFolder
from runbook_lib.asking import Question
from runbook_lib.mitigations.plan import Plan
from runbook_lib.model import MIME, SEVERITY, Finding, Json, Status
from runbook_lib.window import spoken

EVERY = 1.0
Ask = Callable[[list[Question]], list[Finding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """`verdict` is helped, no change or worse; `held_seconds` how long every answer had been ok at the end."""

    plan: str
    verdict: str
    held_seconds: float
    before: tuple[Finding, ...]
    after: tuple[Finding, ...]

    def record(self) -> dict[str, Json]:
        return {
            "plan": self.plan,
            "verdict": self.verdict,
            "held_seconds": self.held_seconds,
            "before": [f.record() for f in self.before],
            "after": [f.record() for f in self.after],
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        held = f"; every answer held ok for {spoken(self.held_seconds)}" if self.verdict == "helped" else ""
        text = f"Plan {self.plan}: {self.verdict}{held}"
        colour = {"helped": "#1a7f37", "worse": "#cf222e"}.get(self.verdict, "#9a6700")
        html = f"<p style='border-left:6px solid {colour};padding:6px 12px;font-size:130%'>{text}</p>"
        return {"text/plain": text, "text/html": html, MIME: {"verified": self.record()}}


def verify(
    plan: Plan,
    incident: IncidentFolder,
    run: RunFolder,
    before: Sequence[Finding],
    ask: Ask,
    *,
    hold_seconds: float,
    timeout_seconds: float,
) -> Verification:
    """Asks the plan's questions until all have been ok for `hold_seconds` on end, or `timeout_seconds` are over.

    `unknown` is never ok. The verdict goes onto the timeline.
    """
    questions = [Question(ask=check) for check in plan.checks]
    end = time.monotonic() + timeout_seconds
    good_since: float | None = None
    while True:
        after = ask(questions)
        moment = time.monotonic()
        well = all(f.status is Status.OK for f in after)
        good_since = (good_since if good_since is not None else moment) if well else None
        held = moment - good_since if good_since is not None else 0.0
        if (good_since is not None and held >= hold_seconds) or moment >= end:
            break
        time.sleep(min(EVERY, max(0.0, end - moment)))
    helped = good_since is not None and held >= hold_seconds
    verdict = "helped" if helped else "worse" if _worse(before, after) else "no change"
    found = Verification(plan=plan.id, verdict=verdict, held_seconds=held, before=tuple(before), after=tuple(after))
    text = f"Plan {plan.id}: {verdict}" + (f", every answer ok for {spoken(held)}" if helped else "")
    timeline.append(incident, "verified", text, data={"run": run.id, **found.record()})
    return found


def _worse(before: Sequence[Finding], after: Sequence[Finding]) -> bool:
    """Whether any answer is worse than before; where it can no longer be had, that is worse too."""
    then = {(f.check, f.source): f.status for f in before}
    rank = {**SEVERITY, Status.UNKNOWN: 3}
    return any(rank[f.status] > rank[then.get((f.check, f.source), f.status)] for f in after)
