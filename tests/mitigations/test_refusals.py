"""What is not carried out: each refusal is one line with exit status 3, and nothing was changed."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook_lib import mitigations
from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder
from runbook_lib.drivers.postgres import LEASE
from runbook_lib.errors import ArchiveError, PlanRefusedError, RunbookError, StateError, WrongTargetError
from runbook_lib.mitigations import keys
from runbook_lib.mitigations.apply import apply
from runbook_lib.mitigations.approval import approval_of, approve
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.mitigations.plan import Plan, plan_id
from runbook_lib.mitigations.undo import undo
from runbook_lib.profile import Profile
from runbook_lib.sandbox import Status
from tests.mitigations.conftest import Connect, Propose, by_role, ended, indexes, session_of

Variant = Callable[..., Profile]


class Victim:
    """A session that a plan is about, and what must not happen to it."""

    def __init__(self, connect: Connect, incident: IncidentFolder, propose: Propose) -> None:
        self.connection = connect("jobs", "nightly", autocommit=False)
        self.connection.execute("SELECT 1")
        self.plan: Plan = propose("postgres.terminate", sessions=[session_of(self.connection)])
        self.incident = incident
        self.file = incident.path / "plans" / f"{self.plan.id}.json"

    def refused(self, profile: Profile, match: str, error: type[RunbookError] = PlanRefusedError) -> None:
        """It is refused before the first change, and the session lives."""
        with pytest.raises(error, match=match) as refusal:
            apply(self.incident, profile, self.plan.id)
        assert refusal.value.exit_status == error.exit_status
        assert "\n" not in str(refusal.value)
        assert not Ledger.of(self.incident, self.plan.id).begun
        assert not ended(self.connection)


@pytest.fixture
def victim(connect: Connect, incident: IncidentFolder, propose: Propose) -> Victim:
    return Victim(connect, incident, propose)


def test_without_approval(box: Status, victim: Victim, profile: Profile) -> None:
    """The actor does not even log in."""
    before = len(by_role(box, "runbook_actor"))
    assert approval_of(victim.incident, victim.plan) is None
    victim.refused(profile, f"is not approved: runbook approve {victim.incident.id} {victim.plan.id}")
    assert len(by_role(box, "runbook_actor")) == before


def test_expired(victim: Victim, profile: Profile, propose: Propose, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is neither approved nor applied after its time; proposing it again gives it time anew, and the same id."""
    monkeypatch.setattr(mitigations, "VALID", timedelta(seconds=-1))
    session = session_of(victim.connection)
    assert propose("postgres.terminate", sessions=[session]).id == victim.plan.id
    with pytest.raises(PlanRefusedError, match="expired at"):
        approve(victim.incident, victim.plan.id)
    victim.refused(profile, "is not approved")
    monkeypatch.undo()
    propose("postgres.terminate", sessions=[session])
    approve(victim.incident, victim.plan.id)
    monkeypatch.setattr(mitigations, "VALID", timedelta(seconds=-1))
    propose("postgres.terminate", sessions=[session])
    victim.refused(profile, "expired at")


def test_an_approval_ends_when_the_approver_was_told(victim: Victim, profile: Profile, monkeypatch: Any) -> None:
    """A plan that lives longer does not lengthen the approval that was given before."""
    approve(victim.incident, victim.plan.id)
    granted = approval_of(victim.incident, victim.plan)
    assert granted is not None
    monkeypatch.setattr("runbook_lib.mitigations.approval.now", lambda: granted.until)
    victim.refused(profile, "the approval of plan .* expired at")


@pytest.mark.parametrize("field", ["signature", "public_key", "until", "approver", "plan"])
def test_a_forged_approval(victim: Victim, profile: Profile, propose: Propose, field: str) -> None:
    """Another signature, key, time or name, or an approval of another plan: none holds."""
    approve(victim.incident, victim.plan.id)
    path = max((victim.incident.path / "timeline").glob("*.json"))
    event = json.loads(path.read_text())
    other = keys.public(keys.Ed25519PrivateKey.generate())
    forged = {
        "signature": "A" * 86 + "==",
        "public_key": other,
        "until": "2099-01-01T00:00:00+00:00",
        "approver": "root@elsewhere",
        "plan": victim.plan.id,
    }
    event["data"][field] = forged[field]
    if field == "plan":
        event["data"]["signature"] = keys.sign(keys.own(), f"runbook approval\n{victim.incident.id}\n000000000000")
    path.write_text(json.dumps(event))
    assert approval_of(victim.incident, victim.plan) is None
    victim.refused(profile, "the signature is not for this plan")


def test_a_changed_plan_file(victim: Victim, profile: Profile) -> None:
    """A plan whose calls were edited after the proposal is not the plan that its id names."""
    approve(victim.incident, victim.plan.id)
    record = json.loads(victim.file.read_text())
    record["calls"] = ["DROP TABLE customers;"]
    victim.file.write_text(json.dumps(record))
    victim.refused(profile, "was changed after it was proposed", StateError)


def test_a_plan_written_by_hand(victim: Victim, profile: Profile) -> None:
    """Even a consistent and approved file has nothing executed that its kind would not make of its preconditions."""
    forged: dict[str, Any] = {f: getattr(victim.plan, f) for f in Plan.__dataclass_fields__}
    forged["calls"] = ("DROP TABLE customers;",)
    forged["id"] = plan_id(forged["kind"], forged["target"], forged["calls"], forged["preconditions"])
    plan = Plan(**forged)
    (victim.file.parent / f"{plan.id}.json").write_text(json.dumps(plan.record()))
    approve(victim.incident, plan.id)
    with pytest.raises(PlanRefusedError, match=r"holds other calls than postgres.terminate makes"):
        apply(victim.incident, profile, plan.id)


def test_the_session_is_gone(victim: Victim, profile: Profile) -> None:
    """What the plan was about has ended by itself."""
    approve(victim.incident, victim.plan.id)
    victim.connection.close()
    with pytest.raises(PlanRefusedError, match=r"no longer fits: pid .* is gone"):
        apply(victim.incident, profile, victim.plan.id)
    assert not Ledger.of(victim.incident, victim.plan.id).begun


def test_the_transaction_is_over(victim: Victim, profile: Profile) -> None:
    """The session lives, but the transaction for which it was to be ended is over: it is left alone."""
    approve(victim.incident, victim.plan.id)
    victim.connection.rollback()
    victim.connection.execute("SELECT 1")
    victim.refused(profile, "no longer as it was")


def test_a_reused_pid(victim: Victim, propose: Propose) -> None:
    """The pid is there, but it is not the session that was seen."""
    session = {**session_of(victim.connection), "backend_start": "2026-01-01T00:00:00+00:00"}
    with pytest.raises(PlanRefusedError, match="is another session now"):
        propose("postgres.terminate", sessions=[session])


def test_an_index_appeared(
    profile: Profile, incident: IncidentFolder, propose: Propose, connect: Connect, table: str
) -> None:
    """Somebody else has created the index meanwhile."""
    owner = connect("shop_owner", "somebody")
    plan = propose("postgres.create_index", schema="public", table=table, columns=["customer"])
    approve(incident, plan.id)
    owner.execute("CREATE INDEX theirs ON parcels (customer)")
    with pytest.raises(PlanRefusedError, match="index theirs leads with these columns already"):
        apply(incident, profile, plan.id)
    assert indexes(owner, table) == {"theirs": True}


def test_another_target(victim: Victim, variant: Variant) -> None:
    """The profile leads to another database than the plan was made for."""
    approve(victim.incident, victim.plan.id)
    victim.refused(variant(database="postgres"), "plan .* is for postgres:", WrongTargetError)


def test_the_lease_is_held(victim: Victim, profile: Profile, connect: Connect) -> None:
    """Somebody else changes this database now: who, is said; afterwards it goes."""
    approve(victim.incident, victim.plan.id)
    other = connect("runbook_actor", "runbook/inc-other/apply")
    other.execute("SELECT pg_advisory_lock(%s)", [LEASE])
    victim.refused(profile, rf"runbook/inc-other/apply \(pid {other.info.backend_pid}\)")
    other.close()
    assert apply(victim.incident, profile, victim.plan.id)["ok"]


def test_missing_permission(
    box: Status, victim: Victim, variant: Variant, propose: Propose, table: str, profile: Profile
) -> None:
    """An actor that may no more than the reader is refused at the proposal and at the application, with the GRANT."""
    reader = {"user": "runbook_reader", "password": f"file:{box.state / 'secrets' / 'runbook_reader'}"}
    weak = variant(actor=reader)
    approve(victim.incident, victim.plan.id)
    victim.refused(weak, "GRANT pg_signal_backend TO runbook_reader")
    with pytest.raises(PlanRefusedError, match="GRANT pg_signal_backend TO runbook_reader"):
        propose("postgres.terminate", profile=weak, sessions=[session_of(victim.connection)])
    with pytest.raises(PlanRefusedError, match="GRANT shop_owner TO runbook_reader"):
        propose("postgres.create_index", profile=weak, schema="public", table=table, columns=["customer"])
    with pytest.raises(PlanRefusedError, match="names no actor for shop_db"):
        propose("postgres.terminate", profile=variant(actor=None), sessions=[session_of(victim.connection)])


@pytest.mark.parametrize(
    ("role", "application", "why"),
    [("postgres", "maintenance", "superuser"), ("runbook_reader", "runbook/inc-1", "a session of ours")],
)
def test_sessions_that_are_never_ended(
    connect: Connect, propose: Propose, role: str, application: str, why: str
) -> None:
    """A superuser's session, and our own: not by name, and not as unused ones."""
    session = connect(role, application)
    with pytest.raises(PlanRefusedError, match=why):
        propose("postgres.terminate", sessions=[session_of(session)])
    with pytest.raises(PlanRefusedError, match="holds no session"):
        propose("postgres.terminate_unused", application=application, role=role, unused_seconds=0)


def test_background_workers_are_never_ended(connect: Connect, propose: Propose) -> None:
    """The checkpointer is no client."""
    row = (
        connect("runbook_reader", "look")
        .execute("SELECT pid, backend_start::text FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        .fetchone()
    )
    assert row is not None
    with pytest.raises(PlanRefusedError, match="is a checkpointer, not a client"):
        propose("postgres.terminate", sessions=[{"pid": row[0], "backend_start": row[1]}])


def test_what_there_is_not(victim: Victim, profile: Profile, propose: Propose) -> None:
    """An unknown plan, one with a path for a name, an unknown kind, an undo of what was never applied."""
    for name in ("000000000000", "../../etc/passwd", "0" * 13):
        with pytest.raises(ArchiveError, match="has no plan"):
            approve(victim.incident, name)
    with pytest.raises(PlanRefusedError, match=r"did you mean postgres.terminate"):
        propose("postgres.terminat", sessions=[])
    with pytest.raises(PlanRefusedError, match="no session is named"):
        propose("postgres.terminate", sessions=[])
    with pytest.raises(PlanRefusedError, match="was never applied"):
        undo(victim.incident, profile, victim.plan.id)


def test_the_timeline_knows_no_refused_change(victim: Victim, profile: Profile) -> None:
    """What was refused is no `applied`."""
    victim.refused(profile, "is not approved")
    assert "applied" not in [e.kind for e in timeline.read(victim.incident)]


def test_the_key_is_ours_alone(own_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made at first use for its owner's eyes only; one that others can read is refused."""
    monkeypatch.setenv("RUNBOOK_KEY", str(tmp_path / "deep" / "key"))
    key = keys.own()
    assert (tmp_path / "deep" / "key").stat().st_mode & 0o777 == 0o600
    assert keys.public(keys.own()) == keys.public(key)
    assert keys.signed(keys.public(key), "yes", keys.sign(key, "yes"))
    assert not keys.signed(keys.public(key), "no", keys.sign(key, "yes"))
    assert not keys.signed("nonsense", "yes", "nonsense")
    (tmp_path / "deep" / "key").chmod(0o644)
    with pytest.raises(RunbookError, match="can be read by others"):
        keys.own()
