"""PostgreSQL as a system that can be changed. Its lease is an advisory lock, which ends with its session."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from runbook_lib.drivers import postgres as driver
from runbook_lib.drivers.postgres import take_lease
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.postgres._sql import Connection, execute, read, wait_until_gone
from runbook_lib.model import Json, Target
from runbook_lib.profile import Source

__all__ = ["acting", "actor", "end_session", "execute", "reading", "session", "take_lease"]

LOGIN_SECONDS = 5.0
# usesysid: only what our own role left behind.
END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(start)s AND usesysid = session_user::regrole
"""
WHO = "SELECT session_user::text, pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"


def actor(source: Source) -> str:
    settings = source.parse(driver.Settings)
    if settings.actor is None:
        raise PlanRefusedError(f"the profile names no actor for {source.name}, so nothing there can be changed")
    return settings.actor.user


@contextmanager
def reading(source: Source, label: str) -> Iterator[tuple[Connection, Target]]:
    with driver.reading(source, application_name=label, seconds=LOGIN_SECONDS) as connection:
        yield connection, driver.identify(connection, source, LOGIN_SECONDS)


@contextmanager
def acting(source: Source, label: str) -> Iterator[tuple[Connection, Target]]:
    with driver.acting(source, application_name=label, seconds=LOGIN_SECONDS) as connection:
        yield connection, driver.identify(connection, source, LOGIN_SECONDS)


def session(connection: Connection) -> dict[str, Json]:
    ((by, pid, started),) = read(connection, WHO)
    return {"by": by, "pid": pid, "backend_start": started.isoformat()}


def end_session(connection: Connection, session: Mapping[str, Json]) -> None:
    """By pid and start, so that nobody else's session is meant."""
    read(connection, END, pid=session["pid"], start=session["backend_start"])
    wait_until_gone(connection, session["pid"], session["backend_start"])
