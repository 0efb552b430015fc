"""Cancel what named sessions run: the statement ends, the session stays."""

from collections.abc import Mapping

from runbook_lib.drivers import postgres
from runbook_lib.mitigations.plan import Draft
from runbook_lib.mitigations.postgres import _sessions
from runbook_lib.mitigations.postgres._sessions import broken, run
from runbook_lib.model import Json
from runbook_lib.profile import Source

__all__ = ["broken", "plan", "run"]


def plan(source: Source, arguments: Mapping[str, Json], *, label: str) -> Draft:
    """`arguments`: sessions, each with pid and backend_start (ISO 8601)."""
    with postgres.reading(source, application_name=label, seconds=_sessions.SECONDS) as connection:
        return _sessions.draft(
            source,
            _sessions.named(connection, arguments["sessions"]),
            connection,
            kind="postgres.cancel",
            function="pg_cancel_backend",
            condition=" AND state = 'active'",
            expected="the statement ends with an error, its transaction is rolled back",
            irreversible="a statement that was cancelled has to be run again by its client",
        )
