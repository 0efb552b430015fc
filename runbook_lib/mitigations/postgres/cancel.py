"""Cancel what named sessions run: the statement ends, the session stays."""

from collections.abc import Mapping

from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Plan
from runbook_lib.mitigations.postgres import _sessions
from runbook_lib.mitigations.postgres._sessions import permissions
from runbook_lib.mitigations.postgres._sql import Connection
from runbook_lib.mitigations.postgres.terminate import LONGEST, clean_up, still_holds
from runbook_lib.model import Json

__all__ = ["CHECKS", "LONGEST", "SYMPTOMS", "apply", "calls", "clean_up", "permissions", "plan", "still_holds", "undo"]

SYMPTOMS = ("postgres.long_queries", "postgres.blocking_tree", "postgres.ungranted_locks")
CHECKS = ("postgres.reachability", *SYMPTOMS, "postgres.idle_in_transaction")


def plan(connection: Connection, arguments: Mapping[str, Json], actor: str) -> Draft:  # noqa: ARG001
    """`arguments`: sessions, each {pid, backend_start (ISO 8601)}; what each runs now is meant, nothing later."""
    sessions = [s for s in _sessions.named(connection, arguments) if s.state == "active" and s.query_start]
    if not sessions:
        raise PlanRefusedError("none of the sessions runs a statement any more")
    preconditions: dict[str, Json] = {
        "sessions": [
            {
                "pid": s.pid,
                "backend_start": _sessions.iso(s.backend_start),
                "state": "active",
                "query_start": _sessions.iso(s.query_start or s.backend_start),
            }
            for s in sessions
        ]
    }
    there = _sessions.standing(connection, preconditions)
    return Draft(
        title=f"Cancel what {_sessions.many(sessions)} runs ({_sessions.pids([s.pid for s in sessions])})",
        present=_sessions.present(sessions),
        preconditions=preconditions,
        dry_run=f"the server finds {sum(there)} of the {len(sessions)} statements still running",
        blast_radius=_sessions.blast_radius(connection, sessions),
        expected="the statement ends with an error, its transaction fails, the session stays",
    )


def calls(preconditions: Mapping[str, Json]) -> tuple[str, ...]:
    return _sessions.calls("pg_cancel_backend", preconditions)


def undo(preconditions: Mapping[str, Json]) -> tuple[str, ...] | str:  # noqa: ARG001
    return "cannot be undone: a statement that was cancelled has to be run again by its client"


def apply(connection: Connection, plan: Plan, call: str) -> str:
    session = plan.preconditions["sessions"][plan.calls.index(call)]
    return _sessions.signal(connection, session, call, still=f" AND {_sessions.where(session)}")
