"""Each kind on the real server: proposed, approved, applied by a process of its own, effect seen, undone."""

import time
from threading import Thread
from typing import Any

import psycopg
import pytest

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import PlanRefusedError, RunbookError
from runbook_lib.mitigations import kind as kinds
from runbook_lib.mitigations.apply import apply, apply_in_process
from runbook_lib.mitigations.approval import approve
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.mitigations.plan import load
from runbook_lib.mitigations.postgres import create_index
from runbook_lib.mitigations.undo import undo
from runbook_lib.model import MIME
from runbook_lib.profile import Profile
from runbook_lib.sandbox import Status
from tests.mitigations.conftest import Connect, Propose, by_role, ended, indexes, session_of


def test_kinds_are_found_in_their_folder() -> None:
    """Nothing is registered: a module of a system's folder is a kind."""
    wanted = ["postgres.cancel", "postgres.create_index", "postgres.terminate", "postgres.terminate_unused"]
    assert sorted(kinds.names()) == wanted


def test_terminate(box: Status, profile: Profile, incident: IncidentFolder, connect: Connect, propose: Propose) -> None:
    """The blocker's session ends, nobody else's; before the approval the actor has not even logged in."""
    blocker, other = connect("jobs", "nightly", autocommit=False), connect("jobs", "nightly")
    blocker.execute("UPDATE products SET price = price WHERE id = 1")
    before = len(by_role(box, "runbook_actor"))
    session = session_of(blocker)
    plan = propose("postgres.terminate", sessions=[session])
    assert plan == load(incident, plan.id)
    assert plan.calls[0].startswith("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ")
    assert f"pid = {session['pid']} AND backend_start = '" in plan.calls[0]
    assert propose("postgres.terminate", sessions=[session]).id == plan.id
    assert len(by_role(box, "runbook_actor")) == before
    assert "pg_terminate_backend(" not in " ".join(by_role(box, "runbook_reader"))
    approve(incident, plan.id)
    record = apply_in_process(incident, str(profile.path), plan.id)
    assert (record["ok"], record["by"]) == (True, "runbook_actor")
    assert [s["state"] for s in record["steps"]] == ["done"]
    assert ended(blocker)
    assert not ended(other)
    assert [e.kind for e in timeline.read(incident)] == ["declared", "approved", "apply_begun", "applied"]
    with pytest.raises(PlanRefusedError, match="was applied already"):
        apply(incident, profile, plan.id)
    with pytest.raises(PlanRefusedError, match="cannot be undone: a session that has ended"):
        undo(incident, profile, plan.id)


def test_the_plan_can_be_read(connect: Connect, propose: Propose) -> None:
    """It says on whom, exactly what, what it costs, until when, and the command that approves it."""
    victim = connect("jobs", "<b>nightly</b>", autocommit=False)
    victim.execute("SELECT 1")
    plan = propose("postgres.terminate", sessions=[session_of(victim)])
    face = plan._repr_mimebundle_()
    for said in (plan.calls[0], plan.undo, "1 of ", "runbook approve", plan.id, "until", "shop_db at"):
        assert str(said) in face["text/plain"]
    assert "<b>nightly</b>" not in face["text/html"]
    assert face[MIME]["plan"]["id"] == plan.id


def test_cancel_ends_this_statement_only(
    profile: Profile, incident: IncidentFolder, connect: Connect, propose: Propose
) -> None:
    """The statement that was seen is cancelled and the session stays; the next statement would not have been hit."""
    victim = connect("api", "report")
    session, said = session_of(victim), []

    def work() -> None:
        try:
            victim.execute("SELECT pg_sleep(30)")
        except psycopg.errors.QueryCanceled as error:
            said.append(str(error))

    thread = Thread(target=work)
    thread.start()
    plan = _until(lambda: propose("postgres.cancel", sessions=[session]))
    assert "query_start" in plan.calls[0]
    approve(incident, plan.id)
    assert apply(incident, profile, plan.id)["ok"]
    thread.join(5)
    assert "canceling statement" in said[0]
    assert not ended(victim)
    with pytest.raises(PlanRefusedError, match="none of the sessions runs a statement"):
        propose("postgres.cancel", sessions=[session])


def test_terminate_unused_passes_over_what_is_used_again(
    profile: Profile, incident: IncidentFolder, connect: Connect, propose: Propose
) -> None:
    """Each session is named with its start; one that is used between plan and call lives on, and the record says so."""
    leaked, revived, stranger = connect("sync", "leaky"), connect("sync", "leaky"), connect("sync", "tidy")
    time.sleep(0.4)
    given: dict[str, Any] = {"application": "leaky", "role": "sync", "unused_seconds": 0.3}
    plan = propose("postgres.terminate_unused", **given)
    assert len(plan.calls) == 2
    assert all("backend_start = " in call and "state = 'idle'" in call for call in plan.calls)
    assert propose("postgres.terminate_unused", **given).id == plan.id
    revived.execute("SELECT 1")
    approve(incident, plan.id)
    record = apply(incident, profile, plan.id)
    assert record["ok"]
    assert sorted(s["result"].split()[0] for s in record["steps"]) == ["ended", "passed"]
    assert ended(leaked)
    assert not ended(revived)
    assert not ended(stranger)
    leaked.close()


def test_create_index_and_undo(
    profile: Profile, incident: IncidentFolder, connect: Connect, propose: Propose, table: str
) -> None:
    """Created, valid, refused a second time while it is there; undone, all is as before; then it is a new plan."""
    owner = connect("shop_owner", "look")
    given: dict[str, Any] = {"schema": "public", "table": table, "columns": ["customer", "weight"]}
    plan = propose("postgres.create_index", **given)
    assert "100,000 rows" in plan.present
    assert plan.blast_radius
    assert indexes(owner, table) == {}
    approve(incident, plan.id)
    assert apply(incident, profile, plan.id)["ok"]
    assert indexes(owner, table) == {plan.preconditions["index"]: True}
    for columns in (["customer"], ["customer", "weight"]):
        with pytest.raises(PlanRefusedError, match="leads with these columns already"):
            propose("postgres.create_index", **{**given, "columns": columns})
    assert undo(incident, profile, plan.id)["ok"]
    assert indexes(owner, table) == {}
    with pytest.raises(PlanRefusedError, match="and undone at"):
        undo(incident, profile, plan.id)
    again = propose("postgres.create_index", **given)
    assert (again.id != plan.id, again.calls) == (True, plan.calls)
    assert [e.kind for e in timeline.read(incident)][-5:] == [
        "approved",
        "apply_begun",
        "applied",
        "undo_begun",
        "undone",
    ]


def test_a_failed_build_leaves_nothing(
    profile: Profile,
    incident: IncidentFolder,
    connect: Connect,
    propose: Propose,
    table: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A build that runs out of its time is recorded as failed, and its invalid index is dropped."""
    plan = propose("postgres.create_index", schema="public", table=table, columns=["customer"])
    approve(incident, plan.id)
    monkeypatch.setattr(create_index, "LONGEST", 0.02)
    record = apply(incident, profile, plan.id)
    assert not record["ok"]
    (step,) = record["steps"]
    assert step["result"].startswith("timed_out")
    assert "was dropped" in step["left"] or step["left"] == "nothing"
    assert indexes(connect("shop_owner", "look"), table) == {}
    assert Ledger.of(incident, plan.id).read()["state"] == "failed"
    assert undo(incident, profile, plan.id)["ok"]


def test_stops_at_the_first_failure(
    profile: Profile, incident: IncidentFolder, connect: Connect, propose: Propose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done, what failed and what was not begun are told apart, on the timeline too."""
    victims = [connect("api", "three", autocommit=False) for _ in range(3)]
    for victim in victims:
        victim.execute("SELECT 1")
    plan = propose("postgres.terminate", sessions=[session_of(v) for v in victims])
    approve(incident, plan.id)
    second = victims[[v.info.backend_pid for v in victims].index(plan.preconditions["sessions"][1]["pid"])]
    _, kind = kinds.find(plan.kind)
    real = kind.apply

    def failing(connection: Any, plan: Any, call: str) -> str:
        if str(second.info.backend_pid) in call:
            connection.close()
        return real(connection, plan, call)

    monkeypatch.setattr(kind, "apply", failing)
    record = apply(incident, profile, plan.id)
    assert [s["state"] for s in record["steps"]] == ["done", "failed", "not begun"]
    assert not record["ok"]
    event = timeline.read(incident)[-1]
    assert (event.kind, event.data["ok"]) == ("applied", False)
    assert "1 of 3 calls done" in event.text
    assert not ended(second)


def _until(work: Any) -> Any:
    end = time.monotonic() + 5
    while True:
        try:
            return work()
        except RunbookError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
