"""Judges archived evidence again with today's checks, without the systems it came from."""

from collections.abc import Mapping
from dataclasses import dataclass

from runbook_lib import checks, diagnosis
from runbook_lib.archive.store import RunFolder
from runbook_lib.errors import UsageError
from runbook_lib.model import Finding, Hypothesis, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What today's checks say of a run, and where that is not what was said then."""

    run: str
    findings: tuple[Finding, ...]
    hypotheses: tuple[Hypothesis, ...]
    changed: tuple[str, ...]

    def record(self) -> dict[str, Json]:
        return {
            "run": self.run,
            "findings": [f.record() for f in self.findings],
            "hypotheses": [h.record() for h in self.hypotheses],
            "verdict": self.hypotheses[0].record(),
            "changed": list(self.changed),
        }


def rejudge(run: RunFolder) -> Again:
    """Raises UsageError for a check that is no longer there, StateError for evidence that cannot be read."""
    evidence = {e.id: e for e in run.evidence()}
    findings, changed = [], []
    for then in run.findings()["findings"]:
        if then["evidence"] not in evidence:
            raise UsageError(f"{run.id}: evidence {then['evidence']} of {then['check']} is not in evidence.jsonl")
        now = checks.find(then["check"])(evidence[then["evidence"]], **then["arguments"])
        findings.append(now)
        changed += _difference(then, now.record())
    latest = list({(f.check, f.source): f for f in findings}.values())
    return Again(
        run=run.id,
        findings=tuple(findings),
        hypotheses=tuple(diagnosis.diagnose(latest)),
        changed=tuple(changed),
    )


def _difference(then: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    if (then["status"], then["summary"]) == (now["status"], now["summary"]):
        return []
    was, is_now = (f"{said['status']}: {said['summary']}" for said in (then, now))
    return [f"{then['check']} on {then['source']}: was {was}; is now {is_now}"]
