"""A job begins transactions and forgets them: they block nobody, and hold back what the server may clean up."""

import random

from psycopg import sql

from runbook_lib.sandbox.box import Box
from runbook_lib.sandbox.names import REPORTS
from runbook_lib.sandbox.processes import wait_until
from runbook_lib.sandbox.settings import PRODUCTS

CAUSE = "idle_in_transaction"
MITIGATION = "terminate_idle"

# A row for each session, of products that nobody buys.
WORK = "UPDATE products SET price = price WHERE id = {last} - %(number)s"
IDLE = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = %s AND state = 'idle in transaction' AND state_change < now() - interval '1 second'
"""


def inflict(box: Box, chance: random.Random) -> dict[str, object]:
    """The seed decides how many sessions there are, two to five."""
    application, sessions = chance.choice(REPORTS), chance.randint(2, 5)
    box.progress(f"starting the job {application}")
    box.start_job(application, [sql.SQL(WORK).format(last=sql.Literal(PRODUCTS))], sessions=sessions)
    wait_until("idle transactions", lambda: box.rows(IDLE, application)[0][0] == sessions, 20)
    return {"application": application}


def heal(_: Box) -> None:
    """Jobs are stopped for every fault."""
