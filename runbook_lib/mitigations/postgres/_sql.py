"""Asking and changing through one connection; what the server says by failing becomes a DriverError."""

import time
from typing import Any

from runbook_lib.drivers import postgres as driver
from runbook_lib.errors import DriverError
from runbook_lib.model import Outcome

Connection = driver.Connection
Rows = list[tuple[Any, ...]]
SECONDS = 5.0
MOST = 1000
GONE_SECONDS = 5.0
LONGEST = 600.0
LOCK_SECONDS = 15.0
THERE = "SELECT 1 FROM pg_stat_activity WHERE pid = %(pid)s AND backend_start = %(start)s"


def read(connection: Connection, text: str, **params: object) -> Rows:
    """Rows of one statement, in a transaction that can write nothing and has a limit."""
    with driver.read_only(connection, SECONDS) as cursor:
        return driver.rows(cursor, text, params, MOST)


def execute(connection: Connection, call: str) -> str:
    """One call of an undo; the status it ends with."""
    return driver.change(connection, call, seconds=LONGEST, lock_seconds=LOCK_SECONDS).statusmessage or "done"


def wait_until_gone(connection: Connection, pid: int, backend_start: str, *, still: str = "") -> float:
    """Seconds until the session (or what `still` says of it) is over; DriverError where it is not after 5 s."""
    begun = time.monotonic()
    while read(connection, THERE + still, pid=pid, start=backend_start):
        if time.monotonic() - begun > GONE_SECONDS:
            raise DriverError(Outcome.TIMED_OUT, f"pid {pid} was told to end, and goes on after {GONE_SECONDS:g} s")
        time.sleep(0.05)
    return time.monotonic() - begun
