"""Failures are typed, deadlines hold, and a diagnosis session can only read."""

import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from runbook_lib import asking, diagnosis, profile, sandbox
from runbook_lib.asking import Question
from runbook_lib.drivers import postgres
from runbook_lib.errors import DriverError
from runbook_lib.model import Evidence, Finding, Outcome, Status
from runbook_lib.sandbox import Status as Sandbox

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'api'"
QUESTIONS = [Question(ask=f"postgres.{n}") for n in ("reachability", "connections", "blocking_tree", "statements")]
Answers = list[tuple[Evidence, Finding]]


def written(path: Path, sources: dict[str, object]) -> profile.Profile:
    (path / "sources.yaml").write_text(yaml.safe_dump({"sources": sources}))
    (path / "profile.yaml").write_text(f"extends: sandbox\nsources_from: {path / 'sources.yaml'}\n")
    return profile.load(str(path / "profile.yaml"))


def database(shop: Sandbox, path: Path, **changed: object) -> profile.Profile:
    settings = yaml.safe_load(shop.sources.read_text())["sources"]["shop_db"]
    return written(path, {"shop_db": {**settings, **changed}})


def put(loaded: profile.Profile, deadline: float = 5) -> Answers:
    return asking.ask(QUESTIONS, loaded, label="runbook/test", deadline=deadline, sink=lambda *_: None)


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A listener whose backlog is full: whoever connects hears nothing, not even a refusal."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        yield port
        for filler in fillers:
            filler.close()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def judged(answers: Answers, outcome: Outcome, cause: str) -> None:
    """All of one outcome; only reachability may judge it; the diagnosis names the cause first."""
    assert {e.outcome for e, _ in answers} == {outcome}, [e.reason for e, _ in answers]
    assert all(e.reason for e, _ in answers)
    assert {f.status for _, f in answers[1:]} == {Status.UNKNOWN}
    assert diagnosis.diagnose([f for _, f in answers])[0].cause == cause


def test_refused(shop: Sandbox, tmp_path: Path) -> None:
    """Nothing listens: the database is down."""
    judged(put(database(shop, tmp_path, port=closed_port())), Outcome.REFUSED, "database_down")


def test_black_hole(shop: Sandbox, tmp_path: Path, black_hole: int) -> None:
    """Nothing comes back at all: unreachable."""
    judged(put(database(shop, tmp_path, port=black_hole), deadline=3), Outcome.TIMED_OUT, "database_unreachable")


def test_name_that_does_not_resolve(shop: Sandbox, tmp_path: Path) -> None:
    """DNS is told from a dead server."""
    judged(put(database(shop, tmp_path, host="no-such-host.invalid")), Outcome.DNS, "database_unreachable")


def test_wrong_password(shop: Sandbox, tmp_path: Path) -> None:
    """Our login is refused; how the database fares is not known."""
    (tmp_path / "wrong").write_text("certainly-not-it")
    login = {"user": "runbook_reader", "password": f"file:{tmp_path / 'wrong'}"}
    judged(put(database(shop, tmp_path, reader=login)), Outcome.AUTH, "login_refused")


def test_no_tls(shop: Sandbox, tmp_path: Path) -> None:
    """We insist on TLS and the server has none."""
    judged(put(database(shop, tmp_path, sslmode="require")), Outcome.TLS, "login_refused")


def test_no_such_database(shop: Sandbox, tmp_path: Path) -> None:
    """The server is there, the database is not."""
    judged(put(database(shop, tmp_path, database="nowhere")), Outcome.NOT_FOUND, "login_refused")


def test_too_many_clients(shop: Sandbox, tmp_path: Path) -> None:
    """A role without reserved connections is shut out when the server is full; our reader still gets in."""
    settings = yaml.safe_load(shop.sources.read_text())["sources"]["shop_db"]
    password = (shop.state / "secrets" / "api").read_text()
    held = []
    where = {"host": settings["host"], "port": settings["port"], "dbname": "shop"}
    try:
        with pytest.raises(psycopg.OperationalError) as full:
            held.extend(psycopg.connect(**where, user="api", password=password) for _ in range(100))
        assert postgres.refusal(full.value).outcome == Outcome.EXHAUSTED
        api = {"user": "api", "password": f"file:{shop.state / 'secrets' / 'api'}"}
        judged(put(database(shop, tmp_path, reader=api)), Outcome.EXHAUSTED, "connections_exhausted")
        assert {e.outcome for e, _ in put(profile.load(str(shop.profile)))} == {Outcome.ANSWERED}
    finally:
        for connection in held:
            connection.close()
        sandbox.heal(shop.state)


def test_one_deadline_for_many_dead_systems(shop: Sandbox, tmp_path: Path, black_hole: int) -> None:
    """32 of 40 questions go into black holes: all is over after about one deadline, and the rest is answered."""
    alive = yaml.safe_load(shop.sources.read_text())["sources"]["shop_db"]
    dead = {f"dead_{n}": {**alive, "port": black_hole} for n in range(8)}
    loaded = written(tmp_path, {"shop_db": alive, "other_db": alive, **dead})
    begun = time.monotonic()
    answers = put(loaded, deadline=4)
    assert time.monotonic() - begun < 3 * 4
    assert Counter(e.outcome for e, _ in answers) == {Outcome.TIMED_OUT: 32, Outcome.ANSWERED: 8}


def test_a_process_with_hanging_questions_ends_at_once(shop: Sandbox, tmp_path: Path, black_hole: int) -> None:
    """Threads that hang do not keep the process, or a kernel, from ending."""
    loaded = database(shop, tmp_path, port=black_hole)
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from runbook_lib import asking, profile
loaded = profile.load({str(loaded.path)!r})
asking.ask([asking.Question(ask="postgres.connections")], loaded, label="runbook/t", deadline=1, sink=lambda *_: None)
print(time.time(), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert time.time() - float(done.stdout) < 20


def test_our_own_bug_is_not_a_time_out(shop: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in our code is raised where the question was put."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("runbook_lib.sources.postgres.postgres.rows", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        put(profile.load(str(shop.profile)))


def test_a_reader_cannot_write_whatever_it_tries(shop: Sandbox) -> None:
    """The transaction is read-only, and a SET inside it does not undo that."""
    source = profile.load(str(shop.profile)).sources["shop_db"]
    attempts = ["CREATE TABLE t (n int)", "SET TRANSACTION READ WRITE", TERMINATE]
    with postgres.reading(source, application_name="runbook/test", seconds=5) as connection:
        for attempt in attempts:
            with pytest.raises(DriverError), postgres.read_only(connection, 2) as cursor:
                cursor.execute(attempt.encode())


def test_no_statement_outlives_its_limit_and_the_session_says_whose_it_is(shop: Sandbox) -> None:
    """The server itself ends it; pg_stat_activity shows the incident."""
    source = profile.load(str(shop.profile)).sources["shop_db"]
    with postgres.reading(source, application_name="runbook/inc-7", seconds=5) as connection:
        with postgres.read_only(connection, 2) as cursor:
            sql = "SELECT application_name, usename::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
            assert postgres.rows(cursor, sql, {}, 1) == [("runbook/inc-7", "runbook_reader")]
        with pytest.raises(DriverError) as caught, postgres.read_only(connection, 0.2) as cursor:
            cursor.execute("SELECT pg_sleep(30)")
        assert caught.value.outcome == Outcome.TIMED_OUT


def test_a_database_that_is_too_old_or_lacks_an_extension_is_not_ok(
    shop: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are said and unknown, never passed over."""
    without = put(database(shop, tmp_path, database="postgres"))
    evidence, finding = without[3]
    assert (evidence.outcome, finding.status) == (Outcome.NOT_FOUND, Status.UNKNOWN)
    monkeypatch.setattr(postgres, "version", lambda _: 12.3)
    evidence, finding = put(profile.load(str(shop.profile)))[2]
    assert (evidence.outcome, finding.status) == (Outcome.NOT_CONFIGURED, Status.UNKNOWN)
    assert "needs PostgreSQL 14" in evidence.reason
