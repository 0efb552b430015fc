"""A sandbox that nobody broke looks well to a strict eye, and its readers can only read."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml

from runbook_lib import sandbox
from runbook_lib.sandbox.names import names

Rows = Callable[..., list[tuple[Any, ...]]]
Eventually = Callable[[Callable[[], object], float], bool]
Session = Callable[[str], psycopg.Connection[Any]]


def test_all_is_sorted() -> None:
    """The public door is a sorted list of names that exist."""
    assert sandbox.__all__ == sorted(sandbox.__all__)
    assert all(hasattr(sandbox, name) for name in sandbox.__all__)


def test_every_fault_loads() -> None:
    """Every module of the folder is a whole fault, and the six of the first part are there."""
    from runbook_lib.sandbox.faults import load

    first = {"connection_leak", "database_down", "idle_in_transaction", "lock_held", "missing_index", "none"}
    assert first <= set(sandbox.faults())
    for name in sandbox.faults():
        module = load(name)
        assert module.CAUSE
        assert callable(module.inflict)
        assert callable(module.heal)


def test_same_seed_same_names() -> None:
    """A seed decides the names, and seeds differ."""
    assert names(3) == names(3)
    assert len({names(seed) for seed in range(20)}) > 10


def test_sources_and_profile(box: sandbox.Status) -> None:
    """The files that the rest of the project reads have the agreed shape, and hold no password."""
    sources = yaml.safe_load(box.sources.read_text())["sources"]
    assert {name: source["kind"] for name, source in sources.items()} == {
        "shop_db": "postgres",
        "shop_redis": "redis",
        "shop_http": "http",
    }
    assert sources["shop_redis"]["lists"] == [names(box.seed).jobs]
    assert yaml.safe_load(box.profile.read_text()) == {"extends": "sandbox", "sources_from": str(box.sources)}
    for secret in (box.state / "secrets").iterdir():
        assert secret.stat().st_mode & 0o777 == 0o600
        assert secret.read_text().strip() == secret.read_text()
        assert secret.read_text() not in box.sources.read_text()


def test_a_strict_eye_finds_nothing(box: sandbox.Status, rows: Rows, eventually: Eventually) -> None:
    """No old transaction, no lock wait, no slow statement, no scan of the big table; connections far from the limit."""
    time.sleep(2)
    activity = "SELECT count(*) FROM pg_stat_activity WHERE "
    old = "state LIKE 'idle in%' AND state_change < now() - interval '5 seconds'"
    assert rows(activity + old) == [(0,)]
    assert rows(activity + "wait_event_type = 'Lock'") == [(0,)]
    assert rows(activity + "backend_type = 'client backend'")[0][0] < 0.6 * 60
    # The quickest run of each: a busy machine slows the others.
    slow = "SELECT query FROM pg_stat_statements WHERE calls > 5 AND min_exec_time > 10"
    assert rows(slow) == []
    scans = "SELECT relname FROM pg_stat_user_tables WHERE seq_scan > 0 AND pg_relation_size(relid) > 8000000"
    assert rows(scans) == []
    assert rows("SELECT count(*) FROM pg_replication_slots") == [(0,)]
    assert eventually(lambda: _hits(rows) > 0.98, 30)  # a server that was just started has yet to read its tables


def _hits(rows: Rows) -> float:
    """The share of blocks found in memory within two seconds."""
    counters = "SELECT blks_hit, blks_read FROM pg_stat_database WHERE datname = 'shop'"
    ((hit, read),) = rows(counters)
    time.sleep(2)
    ((hit_now, read_now),) = rows(counters)
    return float((hit_now - hit) / max(1, hit_now - hit + read_now - read))


def test_customers_are_served(box: sandbox.Status) -> None:
    """The load has a steady rate without errors, jobs do not pile up, health and metrics answer."""
    load = sandbox.status(box.state).load
    assert load is not None
    assert load["errors"] == 0
    assert int(str(load["requests"])) >= 10
    sources = yaml.safe_load(box.sources.read_text())["sources"]
    source = sources["shop_redis"]
    password = Path(source["password"].removeprefix("file:")).read_text()
    with redis.Redis(host=source["host"], port=source["port"], password=password) as client:
        assert client.llen(source["lists"][0]) < 10
    for url in sources["shop_http"]["endpoints"].values():
        for path, text in (("/health", b"ok"), ("/metrics", b"http_requests_total")):
            with urllib.request.urlopen(url.replace("/health", path), timeout=3) as response:  # noqa: S310 - loopback
                assert text in response.read()


def test_reader_reads_only(box: sandbox.Status, session: Session) -> None:
    """The reader's role may not write, not see the shop's rows, and not run long, whatever its session sets."""
    with session("reader") as reader:
        reader.execute("SET default_transaction_read_only = off")
        for statement in (
            "SELECT 1 FROM customers",
            "UPDATE products SET stock = 0",
            "CREATE TABLE t ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement.encode())
        assert reader.execute("SHOW statement_timeout").fetchone() == ("5s",)


def test_status_says_what_is_simulated(box: sandbox.Status) -> None:
    """`runbook sandbox status --json` is one object; what stands for something else says so."""
    command = [sys.executable, "-m", "runbook_lib", "sandbox", "status", "--state", str(box.state), "--json"]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    simulated = {service["name"] for service in shown["services"] if service["simulated"]}
    assert (shown["phase"], shown["fault"], simulated) == ("up", None, {"payments", "load"})
    assert all(service["running"] for service in shown["services"])
