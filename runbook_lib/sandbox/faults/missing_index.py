"""A migration drops the index that the hot query lives on."""

import random

import psycopg
from psycopg import sql

from runbook_lib.sandbox.box import Box
from runbook_lib.sandbox.names import MIGRATIONS
from runbook_lib.sandbox.processes import wait_until
from runbook_lib.sandbox.settings import OWNER

CAUSE = "missing_index"
MITIGATION = "create_index"
SLOW_MS = 20.0
CALLS = 10
HOT = (
    "SELECT mean_exec_time, calls FROM pg_stat_statements WHERE query LIKE %s AND query LIKE '%%ORDER BY created_at%%'"
)


def inflict(box: Box, chance: random.Random) -> dict[str, object]:
    """Runs as the tables' owner, under the name of a migration tool."""
    names = box.settings.names
    box.progress("running a migration")
    # Counters begin anew, as a deployment does it: hours of fast calls would hide the slow ones for hours.
    box.rows("SELECT pg_stat_statements_reset()")
    with psycopg.connect(box.settings.conninfo(OWNER, chance.choice(MIGRATIONS)), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(names.index)))
    wait_until("slow requests", lambda: _slow(box), 30, pause=0.2)
    return {"table": names.table, "column": names.column}


def heal(_: Box) -> None:
    """Indexes are restored for every fault."""


def _slow(box: Box) -> bool:
    rows = box.rows(HOT, f"%{box.settings.names.column}%")
    return any(mean > SLOW_MS and calls >= CALLS for mean, calls in rows)
