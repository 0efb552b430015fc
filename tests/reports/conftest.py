"""Two incidents as the tools leave them: evidence, findings and timeline written through the real API."""

import base64
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runbook_lib import charts, queries
from runbook_lib.archive import codec, manifest, timeline
from runbook_lib.archive.store import Archive, IncidentFolder, RunFolder
from runbook_lib.charts import style
from runbook_lib.model import Coverage, Evidence, Outcome, Target
from runbook_lib.reports import html

AT = datetime(2026, 11, 21, 3, 50, 1, tzinfo=UTC)


@dataclass
class Clock:
    """Events of the timeline are as far apart as the test says, whatever the machine does."""

    at: datetime = AT

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def go(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Scene:
    """An incident in the making."""

    folder: IncidentFolder
    clock: Clock
    ids: list[str] = field(default_factory=list)

    def event(self, kind: str, text: str, seconds: float = 5, /, **data: Any) -> None:
        self.clock.go(seconds)
        timeline.append(self.folder, kind, text, data=data, actor="eve@laptop")

    def evidence(self, run: RunFolder, question: str, rows: Sequence[Mapping[str, Any]], **changed: Any) -> Evidence:
        self.ids.append(f"ev-{len(self.ids) + 1}")
        query = queries.load(question)
        given: dict[str, Any] = {
            "id": self.ids[-1],
            "question": question,
            "target": Target(source="shop_db", kind=query.system, address="127.0.0.1:5432", identity="74290/shop"),
            "query": query.text,
            "params": {name: p.default for name, p in query.params.items()},
            "observed_at": self.clock(),
            "took": timedelta(milliseconds=40),
            "outcome": Outcome.ANSWERED,
            "reason": "",
            "coverage": Coverage(),
            "schema": query.schema,
            "data": codec.coerce(rows, query.schema),
        }
        made = Evidence(**{**given, **changed})
        run.append_evidence(made)
        return made


def finding(evidence: Evidence, status: str, summary: str, **facts: Any) -> dict[str, Any]:
    target = evidence.target
    return {
        "check": evidence.question,
        "arguments": {},
        "status": status,
        "summary": summary,
        "source": target.source,
        "evidence": evidence.id,
        "facts": facts,
        "question": evidence.question,
        "target": {"kind": target.kind, "address": target.address, "identity": target.identity},
        "query": evidence.query,
        "params": dict(evidence.params),
        "observed_at": evidence.observed_at.isoformat(),
        "took_seconds": 0.04,
        "outcome": str(evidence.outcome),
        "reason": evidence.reason,
        "coverage": {"asked": 1, "answered": 1, "truncated": False, "stale": False},
    }


def notebook(pictures: Sequence[charts.Chart], state: str = "completed", reason: str = "") -> dict[str, Any]:
    """As the engine leaves it: one question, one code cell and one picture after the other."""

    def cell(kind: str, number: int, **more: Any) -> dict[str, Any]:
        return {"cell_type": kind, "id": f"{kind}-{number}", "metadata": {}, "source": "", **more}

    cells = [cell("markdown", 0, source="# Database connections\n\nUse when connections run out.")]
    for number, picture in enumerate(pictures, 1):
        data = {"image/png": base64.b64encode(picture.png()).decode(), "text/plain": repr(picture)}
        output = {"output_type": "display_data", "data": data, "metadata": {}}
        good = {"runbook": {"state": "ok", "started": AT.isoformat(), "seconds": 0.4}}
        question = "A step that never comes down is a leak."
        cells.append(cell("markdown", number, source=["## Who opened them, and when?\n", "\n", question]))
        cells.append(cell("code", number, outputs=[output], metadata=good, source="run.chart(...)"))
    if state != "completed":
        marks = {"runbook": {"state": "failed", "started": AT.isoformat(), "seconds": 1.0, "reason": reason}}
        cells.append(cell("code", 98, outputs=[], metadata=marks, source="run.verdict()"))
        cells.append(cell("code", 99, outputs=[], metadata={"runbook": {"state": "never ran", "seconds": None}}))
    marks = {
        "state": state,
        "reason": reason,
        "started": AT.isoformat(),
        "ended": (AT + timedelta(seconds=9)).isoformat(),
    }
    return {"cells": cells, "metadata": {"runbook": marks}, "nbformat": 4, "nbformat_minor": 5}


def save(
    run: RunFolder,
    name: str,
    findings: Sequence[Mapping[str, Any]],
    hypotheses: Sequence[Mapping[str, Any]],
    pictures: Sequence[charts.Chart] = (),
    **more: Any,
) -> None:
    """findings.json and notebook.ipynb, not sealed yet."""
    facts = {"id": run.id, "notebook": name, "profile": "sandbox", "incident": run.path.parent.parent.name}
    times = {"state": "completed", "started": AT.isoformat(), "ended": (AT + timedelta(seconds=9)).isoformat()}
    unanswered = more.pop("unanswered", [])
    run.write_findings(
        {
            "run": {**facts, **times},
            "findings": list(findings),
            "hypotheses": list(hypotheses),
            "verdict": hypotheses[0] if hypotheses else None,
            "plans": [],
            "status": "critical",
            "asked": len(findings),
            "answered": len(findings) - len(unanswered),
            "unanswered": unanswered,
            **more,
        }
    )
    (run.path / "notebook.ipynb").write_text(json.dumps(notebook(pictures)), "utf-8")


def seal(scene: Scene, run: RunFolder, name: str) -> None:
    times = {"started": AT.isoformat(), "ended": AT.isoformat()}
    digest = manifest.seal(
        run,
        state="completed",
        cells=[],
        notebook=name,
        incident=scene.folder.id,
        profile="sandbox",
        reason="",
        parameters={},
        **times,
    )
    scene.event("run_ended", f"{name} completed", 1, run=run.id, notebook=name, state="completed", manifest=digest)


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """How charts look is tested elsewhere; here they only have to be there."""
    monkeypatch.setattr(style, "DPI", 20)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both incidents, built once: tests work on copies."""
    archive = Archive.at(tmp_path_factory.mktemp("built"))
    for name, build in (("inc-leak", _build_leak), ("inc-lock", _build_lock)):
        with pytest.MonkeyPatch.context() as patch:
            clock = Clock()
            patch.setattr(timeline, "now", clock)
            patch.setattr(style, "DPI", 20)
            build(Scene(archive.incident(name), clock))
    return archive.root


@pytest.fixture
def leak(built: Path, tmp_path: Path) -> IncidentFolder:
    """A leak that was found, mended with an approved plan, proven and resolved; one question went unanswered."""
    return IncidentFolder(Path(shutil.copytree(built / "inc-leak", tmp_path / "archive" / "inc-leak")))


@pytest.fixture
def lock(built: Path, tmp_path: Path) -> IncidentFolder:
    """A held lock that was found; its plan was not approved, it was escalated, and it goes on."""
    return IncidentFolder(Path(shutil.copytree(built / "inc-lock", tmp_path / "archive" / "inc-lock")))


def _leak_rows() -> list[dict[str, Any]]:
    old = [("shop-api", 8), ("shop-worker", 2), ("runbook/inc-leak", 1)]
    rows = [(name, timedelta(minutes=62 - i)) for name, n in old for i in range(n)]
    rows += [("loyalty-sync", timedelta(seconds=100 - 2.5 * i)) for i in range(41)]
    return [
        {"pid": 4000 + i, "application": name, "state": "idle", "started_at": AT - ago, "max_connections": 60}
        for i, (name, ago) in enumerate(rows)
    ]


LEAK = {
    "cause": "connection_leak",
    "title": "loyalty-sync leaks connections: 38 of its 41 are held and not used",
    "category": "resource_exhaustion",
    "subject": {
        "source": "shop_db",
        "application": "loyalty-sync",
        "sessions": 41,
        "unused": 38,
        "max_connections": 60,
    },
    "confidence": "confident",
    "because": "everything that it predicts is there, and nothing speaks against it",
    "supports": [
        "postgres.connections_by_application: loyalty-sync holds 41 of 60 connections and has not used 38 of them",
        "postgres.connections: 52 of 60 connections are used (87 %, warn at 80 %)",
        "explains: shop_db has no connections left",
    ],
    "contradicts": [],
    "would_settle": [],
    "mitigations": [],
}
PLAN = "plan-3f9a1c"


def _build_leak(made: Scene) -> None:
    made.event(
        "declared",
        "Incident declared: orders fail with 503",
        0,
        title="orders fail with 503",
        profile="sandbox",
        detected_by="alert ShopErrors",
    )
    made.event("target", "shop_db is 74290/shop at 127.0.0.1:5432", 1, source="shop_db", identity="74290/shop")
    run = made.folder.new_run("database_connections")
    made.event("run_started", "database_connections started", 2, run=run.id, notebook="database_connections")
    findings, seen = _leak_findings(made, run)
    for record in findings:
        if record["status"] in ("warn", "critical"):
            kept = {k: record[k] for k in ("check", "status", "summary", "source", "evidence")}
            made.event("finding", f"{record['status']}: shop_db: {record['summary']}", 0.1, run=run.id, **kept)
    unanswered = ["redis.memory on shop_cache: timed out (no answer within 3 s)"]
    _verdict(made, run, "database_connections", LEAK, unanswered, len(findings))
    title = "Terminate 38 unused sessions of loyalty-sync"
    calls = [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = 4011 AND backend_start = '03:48:21'"
    ] * 2
    made.event(
        "plan_proposed",
        f"Plan {PLAN} proposed",
        1,
        run=run.id,
        plan=PLAN,
        kind="postgres.terminate_unused",
        source="shop_db",
        title=title,
        calls=calls,
    )
    made.event(
        "approved",
        f"Plan {PLAN} approved",
        20,
        plan=PLAN,
        approver="eve",
        fingerprint="SHA256:q1w2e3r4",
        signature="c2ln",
    )
    steps = [{"call": c, "ok": True, "result": "true"} for c in calls]
    made.event(
        "applied",
        f"Plan {PLAN} applied",
        3,
        plan=PLAN,
        kind="postgres.terminate_unused",
        ok=True,
        by="shop_actor",
        steps=steps,
    )
    after = [
        dict(
            r,
            status="ok",
            summary="14 of 60 connections are used (23 %, warn at 80 %)",
            facts={"value": 14, "unit": "connections", "threshold": 48},
        )
        for r in findings[:1]
    ]
    after += [
        dict(
            r,
            status="ok",
            summary="no application holds unused connections",
            facts={"value": 0, "unit": "unused sessions", "threshold": 5},
        )
        for r in findings[1:2]
    ]
    after += [
        dict(r, status="ok", summary="all 3 endpoints answer", facts={"value": 0, "unit": "failing endpoints"})
        for r in findings[2:3]
    ]
    made.event(
        "verified",
        "It helped",
        24,
        run=run.id,
        plan=PLAN,
        verdict="helped",
        held_seconds=20,
        before=findings[:3],
        after=after,
    )
    plans = [{"id": PLAN, "kind": "postgres.terminate_unused", "source": "shop_db", "title": title}]
    other = dict(
        LEAK,
        cause="long_running_query",
        title="pid 4100 has been running one statement for 2 s",
        confidence="possible",
        because="only one sign",
        contradicts=["nobody waits for it"],
    )
    again = [dict(r, observed_at=made.clock().isoformat()) for r in after]
    save(run, "database_connections", [*findings, *again], [LEAK, other], seen, unanswered=unanswered, plans=plans)
    html.write(run)
    seal(made, run, "database_connections")
    made.event(
        "resolved",
        "Resolved: leak fixed in loyalty-sync 4.2",
        30,
        resolution="leaked sessions ended, fix of loyalty-sync 4.2 rolled out",
    )


def _verdict(
    made: Scene, run: RunFolder, name: str, verdict: Mapping[str, Any], unanswered: list[str], asked: int
) -> None:
    kept = {k: verdict[k] for k in ("cause", "title", "subject", "category", "confidence", "because", "supports")}
    more = {"status": "critical", "unanswered": unanswered, "asked": asked, "answered": asked - len(unanswered)}
    made.event("verdict", f"Verdict: {verdict['title']}", 4, run=run.id, notebook=name, **kept, **more)


def _leak_findings(made: Scene, run: RunFolder) -> tuple[list[dict[str, Any]], list[charts.Chart]]:
    starts = made.evidence(run, "postgres.connection_starts", _leak_rows())
    used = [{"state": "idle", "sessions": 52, "longest_in_state_seconds": 96.0, "max_connections": 60, "reserved": 3}]
    total = made.evidence(run, "postgres.connections", used)
    apps = [("loyalty-sync", 41, 1, 40, 38), ("shop-api", 8, 5, 3, 0), ("shop-worker", 2, 1, 1, 0)]
    rows = [
        {"application": a, "sessions": n, "active": x, "idle": i, "unused": u, "max_connections": 60}
        for a, n, x, i, u in apps
    ]
    by_application = made.evidence(run, "postgres.connections_by_application", rows)
    answers = [("api health", 200, 12.0), ("api orders", 503, 2005.0), ("api login", 200, 48.0)]
    rows = [
        {"endpoint": e, "url": "http://api", "outcome": "answered", "status": s, "latency_ms": t} for e, s, t in answers
    ]
    shop = Target(source="shop", kind="http", address="http://127.0.0.1:8001")
    health = made.evidence(run, "http.health", rows, target=shop)
    cache = Target(source="shop_cache", kind="redis", address="127.0.0.1:6379")
    silent = made.evidence(
        run,
        "redis.memory",
        [],
        target=cache,
        outcome=Outcome.TIMED_OUT,
        reason="no answer within 3 s",
        coverage=Coverage(answered=0),
    )
    findings = [
        finding(
            total,
            "critical",
            "52 of 60 connections are used (87 %, warn at 80 %)",
            value=52,
            unit="connections",
            threshold=48,
        ),
        finding(
            by_application,
            "critical",
            "loyalty-sync holds 41 of 60 connections, 38 unused (warn at 5)",
            value=38,
            unit="unused sessions",
            threshold=5,
        ),
        finding(health, "critical", "1 of 3 endpoints fail: api orders answers 503", value=1, unit="failing endpoints"),
        finding(starts, "ok", "52 connections, the newest 2 s old"),
        finding(silent, "unknown", "could not be asked: timed out (no answer within 3 s)"),
    ]
    return findings, [charts.connections_over_time(starts), charts.connections_by_application(by_application)]


LOCK = {
    "cause": "lock_held",
    "title": "pid 4711 of order-export holds a lock on orders, and 9 sessions wait behind it",
    "category": "code_error",
    "subject": {"source": "shop_db", "pid": 4711, "application": "order-export", "table": "orders", "waiters": 9},
    "confidence": "likely",
    "because": "whether the endpoints suffer was not asked",
    "supports": ["postgres.blocking_tree: 9 sessions wait for a lock, the longest for 41 s"],
    "contradicts": ["postgres.statements does not show it: no statement is slow"],
    "would_settle": ["whether the endpoints suffer (http.health was not asked)"],
    "mitigations": [],
}


def _build_lock(made: Scene) -> None:
    made.event(
        "declared",
        "Incident declared: checkout hangs",
        0,
        title="checkout hangs",
        profile="sandbox",
        detected_by="user",
    )
    run = made.folder.new_run("database_locks")
    made.event("run_started", "database_locks started", 2, run=run.id, notebook="database_locks")
    waiting = [
        {
            "pid": 4712 + i,
            "blocked_by": [4711 if i == 0 else 4712],
            "application": "shop-api",
            "state": "active",
            "query": "UPDATE orders SET state = 'paid' WHERE id = 1042",
            "waiting_seconds": 41.0 - i,
            "relations": [],
        }
        for i in range(9)
    ]
    root = {
        "pid": 4711,
        "blocked_by": [],
        "application": "order-export",
        "state": "idle in transaction",
        "query": "SELECT * FROM orders WHERE id = 1042 FOR UPDATE",
        "transaction_seconds": 52.5,
        "relations": [],
    }
    tree = made.evidence(run, "postgres.blocking_tree", [root, *waiting])
    statements = made.evidence(run, "postgres.statements", [])
    findings = [
        finding(
            tree,
            "critical",
            "9 sessions wait for a lock, the longest for 41 s",
            value=9,
            unit="sessions waiting",
            threshold=1,
        ),
        finding(statements, "ok", "no statement is slow"),
    ]
    made.event(
        "finding",
        "critical: shop_db: 9 sessions wait for a lock, the longest for 41 s",
        1,
        run=run.id,
        status="critical",
    )
    _verdict(made, run, "database_locks", LOCK, [], 2)
    made.event(
        "plan_proposed",
        "Plan proposed",
        1,
        run=run.id,
        plan="plan-77",
        kind="postgres.terminate",
        source="shop_db",
        title="Terminate pid 4711",
        calls=["SELECT pg_terminate_backend(4711)"],
    )
    made.event(
        "escalated",
        "Escalated to the owner of order-export",
        60,
        to="the owner of order-export",
        why="its export must not be cut off",
    )
    plans = [{"id": "plan-77", "kind": "postgres.terminate", "source": "shop_db", "title": "Terminate pid 4711"}]
    save(run, "database_locks", findings, [LOCK], [charts.blocking_tree(tree)], plans=plans)
    html.write(run)
    seal(made, run, "database_locks")
