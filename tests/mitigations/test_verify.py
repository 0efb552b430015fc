"""Did it help: the verdict on scripted answers, and once on the real server."""

import threading
from collections.abc import Iterator, Sequence

import psycopg
import pytest

from runbook_lib import asking
from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder, RunFolder
from runbook_lib.asking import Question
from runbook_lib.mitigations.apply import apply
from runbook_lib.mitigations.approval import approve
from runbook_lib.mitigations.plan import Permission, Plan
from runbook_lib.mitigations.verify import Verification, verify
from runbook_lib.model import MIME, Evidence, Finding, Status, Target
from runbook_lib.profile import Profile
from runbook_lib.window import now
from tests.mitigations.conftest import Connect, Propose, session_of

OK, WARN, CRITICAL, UNKNOWN = Status.OK, Status.WARN, Status.CRITICAL, Status.UNKNOWN
SYMPTOM, OTHER = "postgres.blocking_tree", "postgres.connections"


def finding(check: str, status: Status, source: str = "shop_db") -> Finding:
    return Finding(check=check, arguments={}, status=status, summary=f"it is {status}", source=source, evidence="e")


def plan_for(incident: IncidentFolder) -> Plan:
    return Plan(
        id="0123456789ab",
        kind="postgres.terminate",
        incident=incident.id,
        source="shop_db",
        profile="sandbox",
        why="",
        arguments={},
        target=Target(source="shop_db", kind="postgres", address="here", identity="postgres:1/shop"),
        title="",
        present="",
        calls=(),
        preconditions={},
        permissions=(Permission(what="", held=True),),
        dry_run="",
        blast_radius="",
        expected="",
        undo="cannot be undone",
        checks=(SYMPTOM, OTHER, "no.question"),
        symptoms=(SYMPTOM,),
        created_at=now(),
        expires_at=now(),
    )


class Script:
    """Rounds of (symptom, other); the last one is repeated."""

    def __init__(self, incident: IncidentFolder, *rounds: tuple[Status, Status]) -> None:
        self.incident = incident
        self.rounds = rounds
        self.asked: list[list[str]] = []

    def ask(self, questions: list[Question]) -> list[Finding]:
        self.asked.append([q.ask for q in questions])
        symptom, other = self.rounds[min(len(self.asked), len(self.rounds)) - 1]
        return [finding(SYMPTOM, symptom), finding(OTHER, other)]

    def verdict(self, before: Sequence[Finding], *, hold: float = 0.1, timeout: float = 0.5) -> Verification:
        plan, run = plan_for(self.incident), RunFolder(self.incident.path / "runs" / "one")
        return verify(
            plan, self.incident, run, before, self.ask, hold_seconds=hold, timeout_seconds=timeout, every=0.02
        )


BEFORE = (finding(SYMPTOM, CRITICAL), finding(OTHER, OK))


def test_helped_is_written_down(incident: IncidentFolder) -> None:
    """Ok and held for the stated time: helped, with the figures before and after on the timeline."""
    script = Script(incident, (CRITICAL, OK), (OK, OK))
    found = script.verdict(BEFORE)
    assert found.verdict == "helped"
    assert found.held_seconds >= 0.1
    assert script.asked[0] == [SYMPTOM, OTHER], "a check that is no question is not asked"
    event = timeline.read(incident)[-1]
    assert event.kind == "verified"
    assert {"run", "plan", "verdict", "held_seconds", "before", "after"} <= event.data.keys()
    assert [f["status"] for f in event.data["before"]] == ["critical", "ok"]
    assert [f["status"] for f in event.data["after"]] == ["ok", "ok"]
    face = found._repr_mimebundle_()
    assert "critical -> ok" in face["text/plain"]
    assert face[MIME]["verified"]["verdict"] == "helped"


def test_a_relapse_begins_the_time_anew(incident: IncidentFolder) -> None:
    """What was ok for a moment only did not hold."""
    script = Script(incident, (OK, OK), (CRITICAL, OK), (OK, OK))
    found = script.verdict(BEFORE, hold=0.1, timeout=2)
    assert (found.verdict, len(script.asked) >= 6) == ("helped", True)


@pytest.mark.parametrize(
    ("after", "verdict", "why"),
    [
        ((CRITICAL, OK), "no change", "blocking_tree is critical"),
        ((WARN, OK), "no change", "blocking_tree is warn"),
        ((UNKNOWN, OK), "no change", "blocking_tree is unknown"),
        ((OK, UNKNOWN), "no change", "connections on shop_db can no longer be seen"),
        ((OK, WARN), "worse", "connections on shop_db was ok and is warn"),
        ((CRITICAL, CRITICAL), "worse", "connections on shop_db was ok and is critical"),
    ],
)
def test_not_helped(incident: IncidentFolder, after: tuple[Status, Status], verdict: str, why: str) -> None:
    """Still bad, better but not well, not seen: no change. Anything else worse than before: worse. And why."""
    found = Script(incident, after).verdict(BEFORE)
    assert found.verdict == verdict
    assert why in found.why


def test_the_symptom_got_worse(incident: IncidentFolder) -> None:
    """From warn to critical is worse, not no change."""
    assert Script(incident, (CRITICAL, OK)).verdict((finding(SYMPTOM, WARN), finding(OTHER, OK))).verdict == "worse"


def test_nothing_was_bad_before(incident: IncidentFolder) -> None:
    """What was well before cannot have been helped, nor what could not be seen."""
    for status in (OK, UNKNOWN):
        found = Script(incident, (OK, OK)).verdict((finding(SYMPTOM, status), finding(OTHER, OK)))
        assert found.verdict == "no change"


def test_what_was_unknown_before_may_stay_so(incident: IncidentFolder) -> None:
    """A question that had no answer before says nothing against the mitigation."""
    before = (finding(SYMPTOM, CRITICAL), finding(OTHER, UNKNOWN))
    assert Script(incident, (OK, UNKNOWN)).verdict(before).verdict == "helped"


def test_ok_too_late(incident: IncidentFolder) -> None:
    """Ok at the very end of the time was not shown to hold."""
    found = Script(incident, (OK, OK)).verdict(BEFORE, hold=5, timeout=0.1)
    assert (found.verdict, "only when the time was over" in found.why) == ("no change", True)


@pytest.fixture
def queue(connect: Connect) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A session that locks a table, and one that waits for it."""
    blocker, waiter = connect("shop_owner", "migration", autocommit=False), connect("shop_owner", "waiting")
    waiter.execute("CREATE TABLE IF NOT EXISTS queue (n int)")
    blocker.execute("LOCK TABLE queue IN ACCESS EXCLUSIVE MODE")
    thread = threading.Thread(target=lambda: waiter.execute("SELECT * FROM queue"))
    thread.start()
    yield blocker
    blocker.close()
    thread.join(10)
    waiter.execute("DROP TABLE queue")


def test_live(
    profile: Profile,
    incident: IncidentFolder,
    propose: Propose,
    queue: psycopg.Connection[tuple[object, ...]],
) -> None:
    """A real queue behind a real lock: critical, terminated, and the same questions hold ok."""
    run = incident.new_run("database_locks")
    names = ["postgres.reachability", "postgres.blocking_tree", "postgres.connections"]

    def sink(evidence: Evidence, _finding: Finding) -> None:
        run.append_evidence(evidence)

    def ask(questions: list[Question]) -> list[Finding]:
        answers = asking.ask(questions, profile, label=f"runbook/{incident.id}", deadline=5, sink=sink)
        return [f for _, f in answers]

    asked = [Question(ask=n, arguments={"warn_seconds": 0.2} if n == names[1] else {}) for n in names]
    before = ask(asked)
    while before[1].status is OK:
        before = ask(asked)
    plan = propose("postgres.terminate", findings=tuple(before), sessions=[session_of(queue)])
    assert plan.symptoms == ("postgres.blocking_tree",)
    assert set(names) <= set(plan.checks)
    assert "1 sessions wait directly behind them" in plan.blast_radius
    approve(incident, plan.id)
    assert apply(incident, profile, plan.id)["ok"]
    found = verify(plan, incident, run, before, ask, hold_seconds=1, timeout_seconds=20, every=0.2)
    assert found.verdict == "helped", found.why
    assert len(list(run.evidence())) > len(plan.checks)
