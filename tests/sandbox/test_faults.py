"""Each fault is really there, as a plain client sees it, and is gone after `heal`."""

import random
import re
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from runbook_lib import sandbox
from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox.faults import lock_held
from runbook_lib.sandbox.settings import Settings

Break = Callable[..., sandbox.Fault]
Rows = Callable[..., list[tuple[Any, ...]]]
Session = Callable[[str], psycopg.Connection[Any]]
Eventually = Callable[[Callable[[], object], float], bool]
WAITING = "SELECT pid, pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
TERMINATE = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s AND state LIKE %s"
)
SUSPICIOUS = re.compile("fault|leak|broken|sandbox|drill", re.IGNORECASE)


def errors(box: sandbox.Status) -> int:
    load = sandbox.status(box.state).load
    return int(str((load or {}).get("errors", -1)))


def login(box: sandbox.Status) -> str | None:
    """Nothing when an ordinary role gets in, the server's words when it does not."""
    try:
        psycopg.connect(Settings.read(box.state).conninfo("api", "probe")).close()
    except psycopg.OperationalError as error:
        return str(error)
    return None


def test_none(box: sandbox.Status, broken: Break) -> None:
    """Nothing is a fault too: the truth is that the shop is healthy."""
    assert broken("none").cause == "healthy"
    assert errors(box) == 0


def test_connection_leak(box: sandbox.Status, broken: Break, rows: Rows, eventually: Eventually) -> None:
    """Ordinary roles are turned away, the reader gets in, and ending the leaked sessions helps while the leak is on."""
    truth = broken("connection_leak")
    application = truth.subject["application"]
    assert "connection slots" in (login(box) or "")
    idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state = 'idle'"
    assert rows(idle, application)[0][0] > 25
    assert eventually(lambda: errors(box) > 0, 10)
    rows(TERMINATE, application, "idle", half="actor")
    assert eventually(lambda: login(box) is None, 3)
    assert eventually(lambda: errors(box) == 0, 4)
    leaked = rows(idle, application)[0][0]
    assert eventually(lambda: rows(idle, application)[0][0] > leaked, 8)


@pytest.mark.parametrize("seed", [1, 3, 4, 5])
def test_lock_held(box: sandbox.Status, broken: Break, seed: int, rows: Rows, eventually: Eventually) -> None:
    """A queue stands behind the one session of the truth; ending it frees the queue, and the job stays away."""
    truth = broken("lock_held", seed)
    pid = truth.subject["pid"]
    blocked = dict(rows(WAITING))
    roots = {blocker for blockers in blocked.values() for blocker in blockers} - blocked.keys()
    assert roots == {pid}
    assert len(blocked) >= 3
    rows("SELECT pg_terminate_backend(%s, 2000)", pid, half="actor")
    assert eventually(lambda: not rows(WAITING), 3)
    assert eventually(lambda: errors(box) == 0, 5)
    job = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
    assert not rows(job, truth.subject["application"])


def test_lock_held_has_four_faces() -> None:
    """The seeds of the test above are all of them: table or rows, idle or busy."""
    faces = {lock_held.shape(random.Random(seed))[1:] for seed in (1, 3, 4, 5)}
    assert len(faces) == 4


def test_missing_index(
    box: sandbox.Status, broken: Break, rows: Rows, session: Session, eventually: Eventually
) -> None:
    """The hot query becomes slow by a scan; the actor's new index mends it; `heal` leaves the indexes as they were."""
    query = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    before = rows(query)
    truth = broken("missing_index")
    table, column = truth.subject["table"], truth.subject["column"]
    slow = "SELECT max(mean_exec_time) FROM pg_stat_statements WHERE query LIKE '%ORDER BY created_at%'"
    assert rows(slow)[0][0] > 20

    with session("actor") as actor:
        actor.execute(f"CREATE INDEX CONCURRENTLY mended ON {table} ({column})".encode())
    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = %s"
    assert eventually(lambda: (rows(scans, table), time.sleep(1.5))[0] == rows(scans, table), 15)
    sandbox.heal(box.state)
    assert rows(query) == before


def test_idle_in_transaction(box: sandbox.Status, broken: Break, rows: Rows, eventually: Eventually) -> None:
    """Two to five sessions of one job sit in their transactions and block nobody; ending them is enough."""
    truth = broken("idle_in_transaction")
    application = truth.subject["application"]
    idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state = 'idle in transaction'"
    assert 2 <= rows(idle, application)[0][0] <= 5
    assert not rows(WAITING)
    assert errors(box) == 0
    rows(TERMINATE, application, "idle in transaction", half="actor")
    assert eventually(lambda: rows(idle, application) == [(0,)], 3)


@pytest.mark.parametrize("seed", [1, 2])
def test_database_down(box: sandbox.Status, broken: Break, seed: int, eventually: Eventually) -> None:
    """Nobody listens any more, whichever way it died, and it stays so until `heal`."""
    broken("database_down", seed)
    assert "refused" in (login(box) or "")
    assert eventually(lambda: errors(box) > 0, 5)
    assert [service.name for service in sandbox.status(box.state).services if not service.running] == ["postgres"]
    sandbox.heal(box.state)
    assert login(box) is None


def test_nothing_gives_the_answer_away(box: sandbox.Status, broken: Break, rows: Rows) -> None:
    """No session, application or statement that the server shows names what is going on."""
    broken("lock_held")
    shown = rows("SELECT application_name, usename, query FROM pg_stat_activity WHERE usename <> 'postgres'")
    assert not [row for row in shown if SUSPICIOUS.search(" ".join(map(str, row)))]


def test_one_fault_at_a_time(box: sandbox.Status, broken: Break) -> None:
    """A second fault is refused in one line, an unknown one names the nearest, and `heal` twice is harmless."""
    broken("idle_in_transaction")
    with pytest.raises(SandboxError, match="heal"):
        broken("lock_held")
    with pytest.raises(UsageError, match="did you mean lock_held"):
        broken("lock_hold")
    sandbox.heal(box.state)
    assert sandbox.heal(box.state).fault is None
