"""Terminate named sessions: their transactions are rolled back, their locks and connections come free."""

from collections.abc import Mapping

from runbook_lib.mitigations.plan import Draft, Plan
from runbook_lib.mitigations.postgres import _sessions
from runbook_lib.mitigations.postgres._sessions import permissions
from runbook_lib.mitigations.postgres._sql import SECONDS, Connection
from runbook_lib.model import Json

__all__ = ["CHECKS", "LONGEST", "SYMPTOMS", "apply", "calls", "clean_up", "permissions", "plan", "still_holds", "undo"]

SYMPTOMS = (
    "postgres.blocking_tree",
    "postgres.ungranted_locks",
    "postgres.idle_in_transaction",
    "postgres.long_queries",
    "postgres.connections",
)
CHECKS = ("postgres.reachability", *SYMPTOMS)
LONGEST = 3 * SECONDS


def plan(connection: Connection, arguments: Mapping[str, Json], actor: str) -> Draft:  # noqa: ARG001
    """`arguments`: sessions, each {pid, backend_start (ISO 8601)}.

    A session inside a transaction is meant with that transaction: once it has ended, so has the reason.
    """
    sessions = _sessions.named(connection, arguments)
    preconditions: dict[str, Json] = {"sessions": []}
    for s in sessions:
        one: dict[str, Json] = {"pid": s.pid, "backend_start": _sessions.iso(s.backend_start)}
        preconditions["sessions"].append(one | ({"xact_start": _sessions.iso(s.xact_start)} if s.xact_start else {}))
    there = _sessions.standing(connection, preconditions)
    return Draft(
        title=f"Terminate {_sessions.many(sessions)} ({_sessions.pids([s.pid for s in sessions])})",
        present=_sessions.present(sessions),
        preconditions=preconditions,
        dry_run=f"the server finds {sum(there)} of the {len(sessions)} named sessions, each by a call of its own",
        blast_radius=_sessions.blast_radius(connection, sessions),
        expected="their locks and connections come free within a second; their clients see an error and may reconnect",
    )


def calls(preconditions: Mapping[str, Json]) -> tuple[str, ...]:
    return _sessions.calls("pg_terminate_backend", preconditions)


def undo(preconditions: Mapping[str, Json]) -> tuple[str, ...] | str:  # noqa: ARG001
    return "cannot be undone: a session that has ended, and the work it had not committed, do not come back"


def still_holds(connection: Connection, plan: Plan) -> str:
    return _sessions.changed(connection, plan.preconditions)


def apply(connection: Connection, plan: Plan, call: str) -> str:
    return _sessions.signal(connection, plan.preconditions["sessions"][plan.calls.index(call)], call)


def clean_up(connection: Connection, plan: Plan) -> str:  # noqa: ARG001
    return "nothing: a session ends or goes on"
