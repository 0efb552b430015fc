"""A drill that did not show what it had to is told so."""

from typing import Any

from runbook_lib.drills.grade import misses
from runbook_lib.drills.scenario import Drill

DRILL = Drill(
    name="lock_held",
    fault="lock_held",
    notebook="database_locks",
    cause="lock_held",
    subject=("pid",),
    mitigation="a.b",
)
TRUTH = {"subject": {"pid": 7}}
CLEAN: dict[str, Any] = {"findings": [{"status": "ok", "summary": "fine"}, {"status": "unknown", "summary": "?"}]}
FOUND: dict[str, Any] = {"verdict": {"cause": "lock_held", "subject": {"pid": 7}}, "plans": [{"kind": "a.b"}]}
HELPED = {"verified": {"verdict": "helped"}}


def test_everything_shown() -> None:
    """Right cause, right subject, the right plan, and it helped: nothing is missed."""
    assert misses(DRILL, TRUTH, CLEAN, FOUND, HELPED) == []


def test_a_dirty_baseline_is_a_miss() -> None:
    """A warning before the fault is a false alarm, whatever follows."""
    dirty = {"findings": [{"status": "warn", "summary": "too warm"}]}
    assert misses(DRILL, TRUTH, dirty, FOUND, HELPED) == ["before the fault: too warm"]


def test_wrong_cause_wrong_subject_wrong_plan_no_help() -> None:
    """Each of them is named."""
    wrong: dict[str, Any] = {"verdict": {"cause": "healthy", "subject": {"pid": 8}}, "plans": []}
    said = " / ".join(misses(DRILL, TRUTH, CLEAN, wrong, {}))
    assert "found healthy" in said
    assert "pid is 7, found 8" in said
    assert "expected a.b" in said
    assert misses(DRILL, TRUTH, CLEAN, FOUND, {"verified": {"verdict": "no change"}}) == ["the mitigation: no change"]


def test_escalation() -> None:
    """Where nothing fits, a plan is a mistake and an escalation is wanted."""
    drill = DRILL.model_copy(update={"mitigation": "escalate"})
    assert misses(drill, TRUTH, CLEAN, {**FOUND, "plans": []}, {"escalation_advised": {}}) == []
    assert len(misses(drill, TRUTH, CLEAN, FOUND, {})) == 2


def test_nothing_wrong_wants_no_plan() -> None:
    """Proposing something on a healthy shop is a mistake."""
    drill = DRILL.model_copy(update={"mitigation": "none"})
    assert "nothing is wrong" in misses(drill, TRUTH, CLEAN, FOUND, {})[0]
