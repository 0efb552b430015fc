"""A release of the background service opens sessions that it never closes, until the server has no more to give."""

import random

from runbook_lib.sandbox.box import Box
from runbook_lib.sandbox.processes import wait_until
from runbook_lib.sandbox.settings import DATABASE

CAUSE = "connection_leak"
MITIGATION = "terminate_sessions"
TOO_MANY = "53300"
REFUSALS = 5


def inflict(box: Box, _: random.Random) -> dict[str, object]:
    """Rolls the bad release out; from then on it leaks, slowly, for as long as it runs."""
    application = box.settings.names.sync
    box.progress(f"rolling out release 2 of {application}")
    box.children.stop(["sync"])
    box.start_service("sync", release=2)
    refused = [0]

    def exhausted() -> bool:
        refused[0] = refused[0] + 1 if _refused(box) else 0
        return refused[0] >= REFUSALS

    wait_until("the server to run out of connections", exhausted, 30, pause=0.2)
    return {"application": application}


def heal(box: Box) -> None:
    """Rolls back."""
    box.children.stop(["sync"])
    box.start_service("sync")


def _refused(box: Box) -> bool:
    """Whether an ordinary role is turned away."""
    import psycopg

    try:
        psycopg.connect(box.settings.conninfo("api", "api", DATABASE)).close()
    except psycopg.OperationalError as error:
        return TOO_MANY in str(error.sqlstate) or "connection slots" in str(error) or "too many clients" in str(error)
    return False
