"""Who is connected."""

from collections import Counter

from runbook_lib.checks.base import OURS, Judgement, Row, check, check_of_outcomes, graded, measured, rows, unanswered
from runbook_lib.model import Evidence, Json, Outcome, Status

NAMED = 10


@check_of_outcomes
def reachability(evidence: Evidence, *, replica: bool = False) -> Judgement:
    """Whether it answers, or how it refuses: a refusal is what the database says.

    Our own login being refused leaves open how it does: `unknown`. `replica` says that it is meant to be in recovery.
    """
    serves = f"the database does not serve us: {unanswered(evidence)}"
    if evidence.outcome in OURS:
        return Judgement(Status.UNKNOWN, serves)
    if evidence.outcome is not Outcome.ANSWERED:
        return Judgement(Status.CRITICAL, serves)
    (server,) = rows(evidence)
    since = f"{server['started_at']:%Y-%m-%d %H:%M:%S} UTC"
    facts = {"in_recovery": server["in_recovery"] and not replica, "started_at": server["started_at"].isoformat()}
    role = "replica" if server["in_recovery"] else "primary"
    if server["in_recovery"] and not replica:
        return Judgement(Status.WARN, f"{server['database']} answers, but in recovery: it takes no writes", facts)
    if not server["reads_all"]:
        text = f"{server['database']} answers, but {server['role']} sees only its own sessions: grant it pg_monitor"
        return Judgement(Status.WARN, text, facts)
    if server["superuser"]:
        return Judgement(Status.WARN, f"{server['database']} answers, but we read as a superuser: use a reader", facts)
    return Judgement(Status.OK, f"PostgreSQL {server['version']} answers as {role}, up since {since}", facts)


@check
def connections(evidence: Evidence, *, warn: float = 0.8, critical: float = 0.95) -> Judgement:
    """Sessions against what ordinary roles may open (max_connections less the reserved ones).

    The thresholds are those of the alerts that postgres_exporter's mixin ships (80 %), and of no room to act (95 %).
    """
    states = rows(evidence)
    used = sum(r["sessions"] for r in states)
    room = states[0]["max_connections"] - states[0]["reserved"] if states else 1
    share = used / room
    summary = f"{used} of {room} connections used ({share:.0%}; warn at {warn:.0%})"
    by_state = {r["state"]: r["sessions"] for r in states}
    summary += ": " + ", ".join(f"{n} {state}" for state, n in by_state.items())
    facts = measured(share, "of max_connections", warn, used=used, room=room, states=by_state)
    return Judgement(graded(share, warn, critical), summary, facts)


@check
def connections_by_application(evidence: Evidence, *, warn: float = 0.2, critical: float = 0.5) -> Judgement:
    """The largest share of max_connections that one application holds without using it.

    A pool hands an idle connection out again before it opens a new one. An application whose newest connection is
    younger than the silence of its unused ones has lost those: `opened_while_unused`.
    """
    found = [_holder(r, evidence) for r in rows(evidence)]
    unused = max(found, key=lambda h: int(h["unused"]), default=None)
    if unused is None:
        return Judgement(Status.OK, "nobody is connected")
    share = unused["unused"] / unused["max_connections"]
    summary = (
        f"{unused['application']} holds {unused['sessions']} connections, {unused['unused']} of them unused "
        f"({share:.0%} of max_connections; warn at {warn:.0%})"
    )
    holders = [h for h in found if h["unused"] / h["max_connections"] >= warn]
    facts = measured(share, "of max_connections unused", warn, holders=holders, applications=_largest(found))
    return Judgement(graded(share, warn, critical), summary, facts)


def _holder(row: Row, evidence: Evidence) -> dict[str, Json]:
    since_newest = (evidence.observed_at - row["last_started"]).total_seconds()
    keys = ("application", "role", "clients", "sessions", "active", "unused", "waiting_for_lock", "max_connections")
    return {
        **{key: row[key] for key in keys},
        "idle_in_transaction": row["idle_in_transaction"],
        "oldest_unused_seconds": row["oldest_unused_seconds"],
        "opened_while_unused": bool(row["unused"]) and row["oldest_unused_seconds"] > since_newest + 1,
        "last_query": row["last_query"],
    }


def _largest(found: list[dict[str, Json]]) -> list[dict[str, Json]]:
    return [{k: h[k] for k in ("application", "sessions", "waiting_for_lock", "unused")} for h in found[:NAMED]]


@check
def connection_starts(evidence: Evidence, *, warn_per_minute: float = 120.0) -> Judgement:
    """How many of the present connections were opened in the last minute: churn, or a leak in progress."""
    sessions = rows(evidence)
    recent = [s for s in sessions if (evidence.observed_at - s["started_at"]).total_seconds() <= 60]
    by_application = Counter(s["application"] for s in recent).most_common(3)
    most = ", ".join(f"{name} {n}" for name, n in by_application) or "nobody"
    summary = (
        f"{len(recent)} of {len(sessions)} connections are younger than a minute (warn at {warn_per_minute:g}): {most}"
    )
    status = graded(len(recent), warn_per_minute, float("inf"))
    return Judgement(status, summary, measured(len(recent), "new connections/min", warn_per_minute))
