"""Evidence as the sources write it: coerced by the query's own schema."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runbook_lib import queries
from runbook_lib.archive import codec
from runbook_lib.model import Coverage, Evidence, Outcome, Target

AT = datetime(2026, 11, 21, 3, 50, 1, tzinfo=UTC)
Rows = Sequence[Mapping[str, Any]]


def make(question: str, rows: Rows = (), **changed: Any) -> Evidence:
    query = queries.load(question)
    given: dict[str, Any] = {
        "id": "ev-1",
        "question": question,
        "target": Target(source="shop_db", kind=query.system, address="127.0.0.1:5432/shop", identity="7429/shop"),
        "query": query.text,
        "params": {name: p.default for name, p in query.params.items()},
        "observed_at": AT,
        "took": timedelta(milliseconds=40),
        "outcome": Outcome.ANSWERED,
        "reason": "",
        "coverage": Coverage(),
        "schema": query.schema,
        "data": codec.coerce(rows, query.schema),
    }
    return Evidence(**{**given, **changed})


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    return make


@pytest.fixture
def leak() -> Rows:
    """41 connections of loyalty-sync within the last two minutes, 11 of others since an hour."""
    old = [("shop-api", 8), ("shop-worker", 2), ("runbook/inc-1", 1)]
    rows = [(name, timedelta(minutes=62 - i)) for name, n in old for i in range(n)]
    rows += [("loyalty-sync", timedelta(seconds=110 - 2.5 * i)) for i in range(41)]
    return [
        {
            "pid": 4000 + i,
            "application": name,
            "state": "idle",
            "started_at": AT - ago,
            "last_used_at": AT - ago,
            "max_connections": 60,
        }
        for i, (name, ago) in enumerate(rows)
    ]


@pytest.fixture
def by_application() -> Rows:
    def row(application: str, sessions: int, **more: int) -> dict[str, Any]:
        return {"application": application, "sessions": sessions, "max_connections": 60, **more}

    return [
        row("loyalty-sync", 41, active=1, idle=40, unused=38),
        row("shop-api", 8, active=5, idle=3, waiting_for_lock=2),
        row("shop-worker", 2, idle_in_transaction=1, idle=1),
        row("runbook/inc-1", 1, active=1),
    ]


@pytest.fixture
def tree() -> Rows:
    """One root that holds a row, its first waiter, 25 behind it, and one more apart."""

    def row(pid: int, blocked_by: list[int], application: str, **more: Any) -> dict[str, Any]:
        return {"pid": pid, "blocked_by": blocked_by, "application": application, "relations": [], **more}

    update = "UPDATE orders SET state = 'paid' WHERE id = 1042"
    waiters = [
        row(4712 + i, [4711] if i < 2 else [4712], "shop-api", state="active", query=update, waiting_seconds=41.0 - i)
        for i in range(27)
    ]
    root = row(
        4711,
        [],
        "order-export",
        state="idle in transaction",
        query="SELECT * FROM orders WHERE id = 1042 FOR UPDATE",
        transaction_seconds=52.5,
    )
    return [root, *waiters]


@pytest.fixture
def statements() -> Rows:
    slow = "SELECT o.id, o.total FROM orders o WHERE o.customer_email = $1 ORDER BY o.created_at DESC LIMIT $2"
    known = [("1", slow, 9000, 9900.0, 60, 12720.0), ("2", "SELECT 1", 50000, 500.0, 90, 1.1)]
    known += [("3", "INSERT INTO orders (customer_id, total) VALUES ($1, $2) RETURNING id", 8000, 6400.0, 30, 27.0)]
    rows = []
    for sample in (0, 1):
        for queryid, query, calls, total, more_calls, more_ms in known:
            done, spent = calls + sample * more_calls, total + sample * more_ms
            rows.append(
                {
                    "sample": sample,
                    "queryid": queryid,
                    "query": query,
                    "calls": done,
                    "total_ms": spent,
                    "mean_ms": spent / done,
                }
            )
    rows.append(
        {"sample": 1, "queryid": "4", "query": "ANALYZE orders", "calls": 1, "total_ms": 350.0, "mean_ms": 350.0}
    )
    return rows


@pytest.fixture
def idle() -> Rows:
    return [
        {
            "pid": 911,
            "application": "reporting",
            "idle_seconds": 312.0,
            "transaction_seconds": 340.0,
            "blocks": 12,
            "query": "SELECT 1",
            "relations": ["orders", "payments"],
        },
        {
            "pid": 912,
            "application": "shop-worker",
            "idle_seconds": 14.0,
            "transaction_seconds": 15.0,
            "blocks": 0,
            "relations": [],
        },
    ]


@pytest.fixture
def scans() -> Rows:
    def row(sample: int, table: str, seq_scans: int, rows_read: int, schema: str = "public") -> dict[str, Any]:
        return {
            "sample": sample,
            "schema_name": schema,
            "table_name": table,
            "live_rows": 300_000,
            "table_bytes": 5_000_000,
            "seq_scans": seq_scans,
            "rows_read": rows_read,
            "index_scans": 5,
        }

    return [
        row(0, "orders", 100, 30_000_000),
        row(0, "customers", 3, 900_000),
        row(0, "audit", 1, 5, "log"),
        row(1, "orders", 160, 48_000_000),
        row(1, "customers", 4, 1_200_000),
        row(1, "audit", 1, 5, "log"),
    ]


@pytest.fixture
def endpoints() -> Rows:
    def row(endpoint: str, outcome: str, status: int | None, latency: float | None, reason: str = "") -> dict[str, Any]:
        return {
            "endpoint": endpoint,
            "url": "http://x",
            "outcome": outcome,
            "status": status,
            "latency_ms": latency,
            "reason": reason,
        }

    return [
        row("api health", "answered", 200, 12.0),
        row("api orders", "answered", 503, 2005.0),
        row("payments", "timed_out", None, None, "no answer within 2 s"),
        row("api login", "answered", 200, 48.0),
    ]


@pytest.fixture
def judged() -> tuple[Rows, Rows]:
    def record(check: str, status: str, source: str = "shop_db", **facts: Any) -> dict[str, Any]:
        return {
            "check": check,
            "arguments": {},
            "status": status,
            "summary": f"{check} {status}",
            "source": source,
            "evidence": "e",
            "facts": facts,
        }

    before = [
        record("connections", "critical", value=52, unit="connections", threshold=48),
        record("unused_connections", "critical", value=38, unit="sessions", threshold=5),
        record("endpoints", "warn", "shop"),
        record("reachability", "ok"),
        record("replication", "unknown"),
    ]
    after = [
        record("connections", "ok", value=14, unit="connections", threshold=48),
        record("unused_connections", "ok", value=0, unit="sessions", threshold=5),
        record("endpoints", "ok", "shop"),
        record("reachability", "ok"),
        record("replication", "unknown"),
    ]
    return before, after
