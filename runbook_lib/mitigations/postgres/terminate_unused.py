"""Terminate the sessions that an application holds and does not use; one that it uses again is passed over."""

from collections.abc import Mapping

from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Plan
from runbook_lib.mitigations.postgres import _sessions
from runbook_lib.mitigations.postgres._sessions import permissions
from runbook_lib.mitigations.postgres._sql import Connection
from runbook_lib.mitigations.postgres.terminate import LONGEST, apply, clean_up
from runbook_lib.model import Json
from runbook_lib.window import spoken

__all__ = ["CHECKS", "LONGEST", "SYMPTOMS", "apply", "calls", "clean_up", "permissions", "plan", "still_holds", "undo"]

# The leak itself goes on until the code is mended, so connections_by_application is asked and need not get well.
SYMPTOMS = ("postgres.connections", "postgres.reachability")
CHECKS = (*SYMPTOMS, "postgres.connections_by_application")
UNUSED_SECONDS = 5.0
"""As in the query connections_by_application: a pool in use hands its connections round faster than that."""
UNUSED = """
  AND coalesce(nullif(a.application_name, ''), '(no name)') = %(application)s AND a.usename = %(role)s
  AND a.state = 'idle' AND clock_timestamp() - a.state_change > make_interval(secs => %(seconds)s)
"""


def plan(connection: Connection, arguments: Mapping[str, Json], actor: str) -> Draft:  # noqa: ARG001
    """`arguments`: application and role, as pg_stat_activity has them; unused_seconds (5)."""
    application, role = str(arguments["application"]), str(arguments["role"])
    seconds = float(arguments.get("unused_seconds", UNUSED_SECONDS))
    sessions = _sessions.find(connection, UNUSED, application=application, role=role, seconds=seconds)
    if not sessions:
        raise PlanRefusedError(f"{application} holds no session that it has not used for {seconds:g} s")
    preconditions = {
        "sessions": [
            {
                "pid": s.pid,
                "backend_start": _sessions.iso(s.backend_start),
                "state": "idle",
                "state_change": _sessions.iso(s.state_change or s.backend_start),
            }
            for s in sessions
        ]
    }
    there = _sessions.standing(connection, preconditions)
    unused = [s.seconds or 0.0 for s in sessions]
    return Draft(
        title=f"Terminate {_sessions.many(sessions)} that it has not used for {seconds:g} s or more",
        present=f"unused for {spoken(min(unused))} to {spoken(max(unused))}: {_sessions.present(sessions)}",
        preconditions=preconditions,
        dry_run=f"the server finds {sum(there)} of {len(sessions)} still unused; one used meanwhile is passed over",
        blast_radius=_sessions.blast_radius(connection, sessions),
        expected=f"{len(sessions)} connections come free at once; {application} opens new ones as it needs them",
    )


def calls(preconditions: Mapping[str, Json]) -> tuple[str, ...]:
    return _sessions.calls("pg_terminate_backend", preconditions)


def undo(preconditions: Mapping[str, Json]) -> tuple[str, ...] | str:  # noqa: ARG001
    return "cannot be undone: a session that has ended does not come back; an idle one had no work to lose"


def still_holds(connection: Connection, plan: Plan) -> str:
    """Holds while any of the sessions is still unused: the calls pass over those that are not."""
    if any(_sessions.standing(connection, plan.preconditions)):
        return ""
    return f"none of its {len(plan.calls)} sessions is there and unused any more"
