"""Who waits for whom, and who holds on too long."""

from collections import Counter

from runbook_lib.checks.base import Judgement, Row, check, graded, measured, rows
from runbook_lib.model import Evidence, Json, Status
from runbook_lib.window import spoken

NAMED = 10
STRONG = ("AccessExclusiveLock", "ExclusiveLock", "ShareRowExclusiveLock", "ShareLock", "RowExclusiveLock")


@check
def blocking_tree(
    evidence: Evidence, *, warn_seconds: float = 2.0, critical_seconds: float = 10.0, warn_waiting: int = 5
) -> Judgement:
    """Who is at the root of lock queues, how many wait behind it, and for how long.

    A queue of `warn_waiting` is one however short each wait is: where statements time out, the waits begin anew.
    """
    members = rows(evidence)
    waiting = [m for m in members if m["blocked_by"]]
    if not waiting:
        return Judgement(Status.OK, "nobody waits for a lock", measured(0, "sessions waiting", 1, roots=[]))
    longest = max(m["waiting_seconds"] or 0.0 for m in waiting)
    roots = sorted((_root(m, members) for m in members if not m["blocked_by"]), key=lambda r: -int(r["waiters"]))
    first = roots[0] if roots else None
    head = f"{len(waiting)} sessions wait for a lock, the longest for {spoken(longest)} (warn at {warn_seconds:g} s)"
    tail = "; they block each other in a circle"
    if first:
        since = spoken(first["in_state_seconds"])
        tail = f"; at the root is pid {first['pid']} ({first['application']}, {first['state']} for {since})"
    elif any(0 in m["blocked_by"] for m in waiting):
        tail = "; at the root is a prepared transaction: look into pg_prepared_xacts"
    facts = measured(len(waiting), "sessions waiting", 1, roots=roots[:NAMED], longest_seconds=longest)
    status = graded(longest, warn_seconds, critical_seconds)
    if status is Status.OK and len(waiting) >= warn_waiting:
        status = Status.WARN
    return Judgement(status, head + tail, facts)


def _root(root: Row, members: list[Row]) -> dict[str, Json]:
    """The root with the number of sessions that wait behind it, directly or not, and the table it is about."""
    behind: set[int] = {root["pid"]}
    while True:
        more = {m["pid"] for m in members if m["pid"] not in behind and behind & set(m["blocked_by"])}
        if not more:
            break
        behind |= more
    waiters = [m for m in members if m["pid"] in behind and m["pid"] != root["pid"]]
    keys = ("pid", "application", "role", "client", "state", "query", "transaction_seconds", "in_state_seconds")
    return {
        **{key: root[key] for key in keys},
        "backend_start": root["backend_start"].isoformat(),
        "waiters": len(waiters),
        "applications_waiting": sorted({w["application"] for w in waiters}),
        "table": _table(root, waiters),
    }


def _table(root: Row, waiters: list[Row]) -> str:
    """The table that the waiters ask for by name; else, for row locks, the one root and waiters both write to."""
    named = Counter(
        w["waits_for"].partition(" on ")[2] for w in waiters if w["waits_for"].startswith(("relation on", "tuple on"))
    )
    if named:
        return str(named.most_common(1)[0][0])
    ours = [r["table"] for mode in STRONG for r in root["relations"] if r["mode"] == mode]
    theirs = Counter(r["table"] for w in waiters for r in w["relations"] if r["mode"] in STRONG)
    shared = [t for t in ours if t in theirs]
    return str(max(shared, key=lambda t: theirs[t]) if shared else next(iter(ours), ""))


@check
def ungranted_locks(evidence: Evidence, *, warn_seconds: float = 2.0, critical_seconds: float = 10.0) -> Judgement:
    """Locks asked for and not granted (`SELECT * FROM pg_locks WHERE NOT granted`), by table."""
    locks = rows(evidence)
    longest = max((r["longest_seconds"] or 0.0 for r in locks), default=0.0)
    sessions = sum(r["sessions"] for r in locks)
    where = ", ".join(f"{r['sessions']} {r['mode']} on {r['relation'] or r['lock']}" for r in locks[:3])
    summary = f"{sessions} locks not granted, the longest for {spoken(longest)} (warn at {warn_seconds:g} s)"
    facts = measured(sessions, "locks not granted", 1)
    return Judgement(graded(longest, warn_seconds, critical_seconds), summary + (f": {where}" if where else ""), facts)


@check
def long_queries(evidence: Evidence, *, warn_seconds: float = 30.0, critical_seconds: float = 300.0) -> Judgement:
    """Statements that have been running for long. The runbooks kill what is older than 5 minutes: our `critical`."""
    running = [r for r in rows(evidence) if not r["waits_for"].startswith("Lock:")]
    if not running:
        return Judgement(Status.OK, "no statement runs for long", measured(0, "s", warn_seconds, sessions=[]))
    longest = max(running, key=lambda r: float(r["running_seconds"]))
    seconds = longest["running_seconds"]
    summary = (
        f"the longest statement runs for {spoken(seconds)} (warn at {warn_seconds:g} s): "
        f"pid {longest['pid']} of {longest['application']}"
    )
    late = [_session(r) for r in running if r["running_seconds"] >= warn_seconds]
    return Judgement(
        graded(seconds, warn_seconds, critical_seconds),
        summary,
        measured(seconds, "s", warn_seconds, sessions=late[:NAMED]),
    )


@check
def idle_in_transaction(
    evidence: Evidence, *, warn_seconds: float = 60.0, critical_seconds: float = 600.0
) -> Judgement:
    """Sessions that opened a transaction and went silent: they hold locks, and vacuum back.

    The runbooks end sessions idle for 30 minutes; one in a transaction does harm sooner.
    """
    sessions = rows(evidence)
    late = [r for r in sessions if r["idle_seconds"] >= warn_seconds]
    longest = max((r["idle_seconds"] for r in sessions), default=0.0)
    summary = f"{len(late)} sessions idle in a transaction for {warn_seconds:g} s or more"
    if late:
        by_application = Counter(r["application"] for r in late)
        summary += f", the longest for {spoken(longest)}: " + ", ".join(
            f"{n} of {a}" for a, n in by_application.items()
        )
    facts = measured(longest, "s idle in transaction", warn_seconds, sessions=[_session(r) for r in late[:50]])
    return Judgement(graded(longest, warn_seconds, critical_seconds), summary, facts)


def _session(row: Row) -> dict[str, Json]:
    kept = ("pid", "application", "role", "client", "query", "running_seconds", "idle_seconds", "blocks", "relations")
    return {**{k: row[k] for k in kept if k in row}, "backend_start": row["backend_start"].isoformat()}
