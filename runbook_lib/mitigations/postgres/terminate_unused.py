"""Terminate the sessions that an application holds and does not use."""

from collections.abc import Mapping

from runbook_lib.drivers import postgres
from runbook_lib.mitigations.plan import Draft
from runbook_lib.mitigations.postgres import _sessions
from runbook_lib.mitigations.postgres._sessions import broken, run
from runbook_lib.model import Json
from runbook_lib.profile import Source

__all__ = ["broken", "plan", "run"]

UNUSED_SECONDS = 5.0
"""As in the query connections_by_application: a pool in use hands its connections round faster than that."""

UNUSED = """
  AND application_name = %(application)s AND usename = %(role)s AND state = 'idle'
  AND clock_timestamp() - state_change > make_interval(secs => %(seconds)s)
ORDER BY backend_start
"""


def plan(source: Source, arguments: Mapping[str, Json], *, label: str) -> Draft:
    """`arguments`: application and role, as pg_stat_activity has them."""
    given = {"application": arguments["application"], "role": arguments["role"], "seconds": UNUSED_SECONDS}
    with postgres.reading(source, application_name=label, seconds=_sessions.SECONDS) as connection:
        with postgres.read_only(connection, _sessions.SECONDS) as cursor:
            found = postgres.rows(cursor, _sessions.FOUND + UNUSED, given, 1000)
        return _sessions.draft(
            source,
            found,
            connection,
            kind="postgres.terminate_unused",
            function="pg_terminate_backend",
            condition=" AND state = 'idle'",
            expected="as many connections come free at once; the application opens new ones as it needs them",
            irreversible="a session that has ended does not come back; an idle one had no work to lose",
        )
