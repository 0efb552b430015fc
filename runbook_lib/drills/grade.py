"""What was found against the truth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from runbook_lib.drills.scenario import ESCALATE, NOTHING, Drill
from runbook_lib.model import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """One line of the table. `passed` is the verdict on the drill; `why` says what was missed."""

    drill: str
    fault: str
    found: str
    subject: str
    seconds_to_first_evidence: float | None
    seconds_to_verdict: float | None
    mitigation: str
    helped: str
    evidence: str
    post_mortem: str
    passed: bool
    why: str

    @classmethod
    def broken_off(cls, drill: Drill, why: str, evidence: str) -> "Grade":
        """A drill that did not come to its end has not passed; the others go on."""
        return cls(
            drill=drill.name,
            fault=drill.fault,
            found="broke off",
            subject="",
            seconds_to_first_evidence=None,
            seconds_to_verdict=None,
            mitigation="none",
            helped="-",
            evidence=evidence,
            post_mortem="",
            passed=False,
            why=why,
        )

    def record(self) -> dict[str, Json]:
        return asdict(self)


def misses(
    drill: Drill,
    truth: Mapping[str, Json],
    baseline: Mapping[str, Json],
    found: Mapping[str, Json],
    events: Mapping[str, Mapping[str, Json]],
) -> list[str]:
    """Everything that a drill had to show and did not, one sentence each.

    `baseline` and `found` are contents of findings.json from before and after the fault; `events` the last event of
    each kind of the incident's timeline, as its data.
    """
    wrong = [f"before the fault: {f['summary']}" for f in baseline["findings"] if f["status"] in ("warn", "critical")]
    verdict = found.get("verdict") or {}
    if verdict.get("cause") != drill.cause:
        wrong.append(f"found {verdict.get('cause')}, expected {drill.cause}")
    said = verdict.get("subject", {})
    wrong += [
        f"{key} is {truth['subject'].get(key)!r}, found {said.get(key)!r}"
        for key in drill.subject
        if said.get(key) != truth["subject"].get(key)
    ]
    return wrong + _mitigation_misses(drill, found, events)


def _mitigation_misses(drill: Drill, found: Mapping[str, Json], events: Mapping[str, Mapping[str, Json]]) -> list[str]:
    kinds = [plan["kind"] for plan in found.get("plans", [])]
    if drill.mitigation == NOTHING:
        return [f"proposed {kinds} though nothing is wrong"] if kinds else []
    if drill.mitigation == ESCALATE:
        wrong = [f"proposed {kinds}, expected an escalation"] if kinds else []
        return wrong if "escalation_advised" in events else [*wrong, "advised no escalation"]
    if drill.mitigation not in kinds:
        return [f"proposed {kinds or 'nothing'}, expected {drill.mitigation}"]
    helped = events.get("verified", {}).get("verdict", "not verified")
    return [] if helped == "helped" else [f"the mitigation: {helped}"]
