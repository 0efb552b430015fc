"""PostgreSQL: every query in a read-only transaction of its own."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

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

    def ask(self, query: Query, params: Mapping[str, Json], seconds: float) -> Answer:
        """One row more than `limit` is asked for, so that an answer that was cut off is known as such."""
        self._require(query)
        limit = min(int(params.get("limit", MOST_ROWS)), MOST_ROWS)
        asked = {**params, "limit": limit + 1} if "limit" in params else params
        with postgres.read_only(self.connection, seconds) as cursor:
            rows = postgres.rows(cursor, query.text, asked, limit + 1)
        return Answer(
            rows=rows[:limit],
            text=postgres.pasteable(self.connection, query.text, params),
            coverage=Coverage(truncated=len(rows) > limit),
        )

    def _require(self, query: Query) -> None:
        wanted = re.fullmatch(r"postgres >= (\d+)", query.requires)
        have = postgres.version(self.connection)
        if wanted and have < int(wanted[1]):
            raise DriverError(Outcome.NOT_CONFIGURED, f"needs PostgreSQL {wanted[1]} or newer, this is {have:.1f}")


@contextmanager
def session(source: Source, *, label: str, seconds: float) -> Iterator[Session]:
    with postgres.reading(source, application_name=label, seconds=seconds) as connection:
        yield Session(connection, postgres.identify(connection, source, seconds))
