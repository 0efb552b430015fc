"""What ending sessions and statements have in common: who may be hit, and that nobody else ever is.

A session is {pid, backend_start, ...}: what else is in it has to be so still when the plan is applied. All of it is in
the WHERE of its call as well, so a pid that was given to somebody else is passed over by the server itself.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runbook_lib.drivers.postgres import change
from runbook_lib.errors import DriverError, PlanRefusedError
from runbook_lib.mitigations.plan import Permission
from runbook_lib.mitigations.postgres._sql import SECONDS, Connection, read, wait_until_gone
from runbook_lib.model import Json, Outcome
from runbook_lib.window import spoken

FIND = """
SELECT a.pid, a.backend_start, a.xact_start, a.query_start, a.state_change, coalesce(a.state, ''),
       coalesce(nullif(a.application_name, ''), '(no name)'), coalesce(a.usename::text, ''),
       coalesce(a.datname::text, ''), left(coalesce(a.query, ''), 200), a.backend_type, coalesce(r.rolsuper, true),
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::float8,
       (SELECT count(*) FROM pg_stat_activity w
        WHERE w.wait_event_type = 'Lock' AND a.pid = ANY(pg_blocking_pids(w.pid)))
FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.pid <> pg_backend_pid()
"""
TOTAL = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
MAY_SIGNAL = (
    "SELECT pg_has_role(%(actor)s, 'pg_signal_backend', 'usage'), pg_has_role(%(actor)s, 'pg_read_all_stats', 'usage')"
)
CONDITIONS = {"pid", "backend_start", "xact_start", "query_start", "state", "state_change"}
PLAIN = re.compile(r"[A-Za-z0-9:.+ -]{1,40}")
OURS = "runbook/"
NAMED = 6


@dataclass(frozen=True, slots=True)
class Session:
    """A row of FIND."""

    pid: int
    backend_start: datetime
    xact_start: datetime | None
    query_start: datetime | None
    state_change: datetime | None
    state: str
    application: str
    role: str
    database: str
    query: str
    backend_type: str
    superuser: bool
    seconds: float | None
    waiters: int

    @property
    def untouchable(self) -> str:
        """Why this one is never ended; empty for an ordinary client."""
        if self.backend_type != "client backend":
            return f"pid {self.pid} is a {self.backend_type}, not a client"
        if self.superuser:
            return f"pid {self.pid} is a superuser's session"
        return f"pid {self.pid} is a session of ours" if self.application.startswith(OURS) else ""

    def __str__(self) -> str:
        doing = f"{self.state or 'state hidden'} for {spoken(self.seconds or 0.0)}"
        query = " ".join(self.query.split())
        return f"pid {self.pid} of {self.application} ({self.role}, {self.database}) {doing}: {query}"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def find(connection: Connection, condition: str, **params: object) -> list[Session]:
    """Sessions that may be ended and whose start the asking role may see."""
    rows = [Session(*row) for row in read(connection, FIND + condition, **params) if row[1] is not None]
    return sorted((s for s in rows if not s.untouchable), key=lambda s: s.pid)


def named(connection: Connection, arguments: Mapping[str, Json]) -> list[Session]:
    """The sessions of `arguments`, each {pid, backend_start}. Raises PlanRefusedError where one is not as named."""
    wanted = {int(s["pid"]): datetime.fromisoformat(str(s["backend_start"])) for s in arguments["sessions"]}
    rows = read(connection, FIND + " AND a.pid = ANY(%(pids)s)", pids=list(wanted))
    there = {s.pid: s for s in (Session(*row) for row in rows)}
    wrong = [s.untouchable for s in there.values() if s.untouchable and s.backend_start == wanted[s.pid]]
    wrong += [f"pid {p} is gone" for p in wanted if p not in there]
    wrong += [f"pid {p} is another session now" for p, s in there.items() if s.backend_start != wanted[p]]
    if wrong or not wanted:
        raise PlanRefusedError("; ".join(sorted(wrong)) or "no session is named")
    return sorted(there.values(), key=lambda s: s.pid)


def where(session: Mapping[str, Json]) -> str:
    """The condition that this very session, still as it was, fulfils, and no other can."""
    if not {"pid", "backend_start"} <= session.keys() <= CONDITIONS or type(session["pid"]) is not int:
        raise PlanRefusedError(f"a session is named by pid, backend_start and what it does, not by {list(session)!r}")
    return " AND ".join(f"{name} = {literal(value)}" for name, value in session.items())


def literal(value: Json) -> str:
    """As SQL has it: a number, or a quoted text of what states and times are made of."""
    if type(value) is int:
        return str(value)
    if not isinstance(value, str) or not PLAIN.fullmatch(value):
        raise PlanRefusedError(f"{value!r} is no state and no time of a session")
    return f"'{value}'"


def calls(function: str, preconditions: Mapping[str, Json]) -> tuple[str, ...]:
    """`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ...`, one a session."""
    conditions = map(where, preconditions["sessions"])
    return tuple(f"SELECT {function}(pid) FROM pg_stat_activity WHERE {c};" for c in conditions)  # noqa: S608


def standing(connection: Connection, preconditions: Mapping[str, Json]) -> list[bool]:
    """For each session whether its call would find it: the dry run, on the server."""
    text = " UNION ALL ".join(
        f"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {where(s)})"  # noqa: S608 - quoted above
        for s in preconditions["sessions"]
    )
    return [found for (found,) in read(connection, text)]


def changed(connection: Connection, preconditions: Mapping[str, Json]) -> str:
    """Which sessions are gone or no longer as they were; empty where all are."""
    there = standing(connection, preconditions)
    gone = [s["pid"] for s, found in zip(preconditions["sessions"], there, strict=True) if not found]
    return f"{pids(gone)} {'is' if len(gone) == 1 else 'are'} gone, or no longer as it was" if gone else ""


def permissions(
    connection: Connection,
    preconditions: Mapping[str, Json],  # noqa: ARG001 - the signature is Kind's
    actor: str,
) -> tuple[Permission, ...]:
    ((signal, see),) = read(connection, MAY_SIGNAL, actor=actor)
    return (
        Permission(what=f"GRANT pg_signal_backend TO {actor}", held=signal),
        Permission(what=f"GRANT pg_read_all_stats TO {actor} (to tell a session from a later one)", held=see),
    )


def pids(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:NAMED]))
    return f"pid {shown}" + (f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else "")


def many(sessions: Sequence[Session]) -> str:
    """`3 sessions of api, 1 of worker`."""
    counted = Counter(s.application for s in sessions).most_common()
    words = ", ".join(f"{n} of {name}" for name, n in counted)
    return words.replace(" of ", " session of " if counted[0][1] == 1 else " sessions of ", 1)


def present(sessions: Sequence[Session]) -> str:
    more = f"; and {len(sessions) - NAMED} more" if len(sessions) > NAMED else ""
    return "; ".join(map(str, sessions[:NAMED])) + more


def blast_radius(connection: Connection, sessions: Sequence[Session]) -> str:
    ((total,),) = read(connection, TOTAL)
    open_ones = [s.seconds or 0.0 for s in sessions if s.xact_start is not None]
    words = [f"{len(sessions)} of {total} client sessions: {pids([s.pid for s in sessions])}"]
    if open_ones:
        words.append(f"{len(open_ones)} open transactions, the oldest of {spoken(max(open_ones))}, are rolled back")
    words.append(f"{sum(s.waiters for s in sessions)} sessions wait directly behind them")
    return "; ".join(words)


def signal(connection: Connection, session: Mapping[str, Json], call: str, *, still: str = "") -> str:
    """Executes a call and waits for its effect. Raises DriverError where the server could not, or nothing ended."""
    done: list[tuple[Any, ...]] = change(connection, call, seconds=SECONDS, lock_seconds=SECONDS).fetchall()
    if not done:
        return "passed over: it had ended, or was no longer as it was"
    if not done[0][0]:
        raise DriverError(Outcome.FAILED, f"the server could not signal pid {session['pid']}")
    took = wait_until_gone(connection, session["pid"], session["backend_start"], still=still)
    return f"ended after {spoken(took)}"
