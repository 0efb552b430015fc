"""PostgreSQL: every query in a read-only transaction of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from runbook_lib.drivers import postgres
from runbook_lib.errors import DriverError
from runbook_lib.model import Coverage, Json, Outcome, Target
from runbook_lib.profile import Source
from runbook_lib.queries import Query
from runbook_lib.sources import Answer

MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Session:
    connection: postgres.Connection
    target: Target
    roles: dict[str, bool] = field(default_factory=dict)

    def ask(self, query: Query, params: Mapping[str, Json], seconds: float) -> Answer:
        """One row more than `limit` is asked for, so that an answer that was cut off is known as such."""
        self._require(query, seconds)
        limit = min(int(params.get("limit", MOST_ROWS)), MOST_ROWS)
        asked = {**params, "limit": limit + 1} if "limit" in params else params
        with postgres.read_only(self.connection, seconds) as cursor:
            rows = postgres.rows(cursor, query.text, asked, limit + 1)
        return Answer(
            rows=rows[:limit],
            text=postgres.pasteable(self.connection, query.text, params),
            coverage=Coverage(truncated=len(rows) > limit),
        )

    def _require(self, query: Query, seconds: float) -> None:
        """What the header's `requires` names: a version, a role. Raises DriverError for what is missing."""
        if self.connection.closed:
            raise DriverError(Outcome.REFUSED, "the server closed the connection")
        for needed in filter(None, query.requires.split(",")):
            kind, *_, wanted = needed.split()
            if kind == "postgres" and postgres.version(self.connection) < int(wanted):
                have = f"{postgres.version(self.connection):.1f}"
                raise DriverError(Outcome.NOT_CONFIGURED, f"needs PostgreSQL {wanted} or newer, this is {have}")
            if kind == "role" and not self._holds(wanted, seconds):
                role = self.connection.info.user
                raise DriverError(
                    Outcome.FORBIDDEN, f"{role} would see only its own sessions: GRANT {wanted} TO {role}"
                )

    def _holds(self, role: str, seconds: float) -> bool:
        if role not in self.roles:
            self.roles[role] = postgres.holds_role(self.connection, role, seconds)
        return self.roles[role]


@contextmanager
def session(source: Source, *, label: str, seconds: float) -> Iterator[Session]:
    with postgres.reading(source, application_name=label, seconds=seconds) as connection:
        yield Session(connection, postgres.identify(connection, source, seconds))
