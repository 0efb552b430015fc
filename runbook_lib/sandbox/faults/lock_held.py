"""A job locks what the shop's requests need, and keeps the lock; a queue forms behind it."""

import random

from psycopg import sql

from runbook_lib.errors import SandboxError
from runbook_lib.sandbox.box import Box
from runbook_lib.sandbox.names import JOBS
from runbook_lib.sandbox.processes import wait_until
from runbook_lib.sandbox.shop.load import HOT_PRODUCTS

CAUSE = "lock_held"
MITIGATION = "terminate_blocker"
QUEUE = 3

LOCK_TABLE = "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
LOCK_ROWS = "UPDATE products SET price = price * 1.02 WHERE id <= {hot}"
# A pass over all orders at a pace that is meant to be kind to the server: hours.
LONG_READ = "SELECT sum(o.amount) FROM {table} o CROSS JOIN LATERAL (SELECT pg_sleep(0.02 + o.id * 0)) pace"
SESSION = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND xact_start IS NOT NULL"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'api' AND wait_event_type = 'Lock' AND state_change < now() - interval '1 second'
"""


def inflict(box: Box, chance: random.Random) -> dict[str, object]:
    """The seed decides: the whole table or the rows that everybody buys; idle or busy while it holds them."""
    application, rows, busy = shape(chance)
    table = sql.Identifier(box.settings.names.table)
    lock = sql.SQL(LOCK_ROWS if rows else LOCK_TABLE).format(table=table, hot=sql.Literal(HOT_PRODUCTS))
    box.progress(f"starting the job {application}")
    box.start_job(application, [lock], last=sql.SQL(LONG_READ).format(table=table) if busy else None)
    wait_until("a queue of requests behind the lock", lambda: box.rows(WAITING)[0][0] >= QUEUE, 30)
    sessions = box.rows(SESSION, application)
    if not sessions:
        raise SandboxError(f"the job {application} has ended: its lock is gone")
    return {
        "pid": sessions[0][0],
        "application": application,
        "table": "products" if rows else box.settings.names.table,
    }


def shape(chance: random.Random) -> tuple[str, bool, bool]:
    """The job, whether it locks rows or the table, whether it is busy or idle meanwhile."""
    return chance.choice(JOBS), chance.random() < 0.5, chance.random() < 0.5


def heal(_: Box) -> None:
    """Jobs are stopped for every fault."""
