"""PostgreSQL by psycopg: the reader and the actor are two roles, never one."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from runbook_lib import secrets
from runbook_lib.errors import DriverError, PlanRefusedError
from runbook_lib.model import Outcome, Target
from runbook_lib.profile import Source, Strict

Connection = psycopg.Connection[tuple[Any, ...]]

# Before the server has let us in, libpq passes on no SQLSTATE, only its text.
REFUSALS = (
    (Outcome.EXHAUSTED, r"too many clients|remaining connection slots|too many connections"),
    (Outcome.STARTING, r"starting up|not yet accepting|shutting down|in recovery mode"),
    (
        Outcome.AUTH,
        r"authentication failed|no pg_hba\.conf entry|role .* does not exist|not permitted to log in|no password",
    ),
    (Outcome.NOT_FOUND, r"database .* does not exist"),
    (Outcome.FORBIDDEN, r"permission denied for database"),
    (Outcome.DNS, r"failed to resolve host|could not translate host name"),
    (Outcome.REFUSED, r"Connection refused|closed unexpectedly|closed the connection|connection is (closed|lost|bad)"),
    (Outcome.REFUSED, r"Connection reset|Broken pipe|EOF detected|No such file or directory"),
    (Outcome.TIMED_OUT, r"timeout expired|timed out|No route to host|Network is unreachable"),
    (Outcome.TLS, r"\bSSL\b|certificate|\bTLS\b"),
)
SQLSTATES = {
    "42501": Outcome.FORBIDDEN,
    "28000": Outcome.AUTH,
    "28P01": Outcome.AUTH,
    "53300": Outcome.EXHAUSTED,
    "57014": Outcome.TIMED_OUT,
    "55P03": Outcome.TIMED_OUT,
    "57P01": Outcome.REFUSED,
    "57P02": Outcome.REFUSED,
    "57P03": Outcome.STARTING,
    "55000": Outcome.NOT_CONFIGURED,
    "42P01": Outcome.NOT_FOUND,
    "42883": Outcome.NOT_FOUND,
    "42703": Outcome.NOT_FOUND,
    "42704": Outcome.NOT_FOUND,
    "3D000": Outcome.NOT_FOUND,
}
IDENTITY = """
SELECT system_identifier::text, current_database()::text, pg_postmaster_start_time()::text FROM pg_control_system()
"""


class Login(Strict):
    user: str
    password: str


class Settings(Strict):
    """`reader` asks, `actor` changes; both passwords are references. `sslmode` and `sslrootcert` as libpq has them."""

    host: str
    port: int = 5432
    database: str
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: str = ""
    reader: Login
    actor: Login | None = None


def preflight(source: Source) -> None:
    secrets.resolve(source.parse(Settings).reader.password)


def hidden(source: Source) -> set[str]:
    """References that only the process that applies a plan may resolve."""
    actor = source.parse(Settings).actor
    return {actor.password} if actor else set()


def address(source: Source) -> str:
    settings = source.parse(Settings)
    return f"{settings.host}:{settings.port}/{settings.database}"


def connect(settings: Settings, login: Login, *, application_name: str, seconds: float) -> Connection:
    """A connection in autocommit. Raises DriverError with the outcome."""
    try:
        return psycopg.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.database,
            user=login.user,
            password=secrets.resolve(login.password),
            sslmode=settings.sslmode,
            sslrootcert=settings.sslrootcert or None,
            application_name=application_name,
            connect_timeout=max(2, int(seconds)),
            autocommit=True,
            row_factory=tuple_row,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        raise refusal(error) from error


def refusal(error: psycopg.Error) -> DriverError:
    """The failure as an outcome: by SQLSTATE where the server gave one, else by libpq's text."""
    text = " ".join(str(error).split())
    if error.sqlstate in SQLSTATES:
        return DriverError(SQLSTATES[error.sqlstate], f"{text} (SQLSTATE {error.sqlstate})")
    for outcome, pattern in REFUSALS:
        if re.search(pattern, text):
            return DriverError(outcome, text)
    return DriverError(Outcome.FAILED, f"{type(error).__name__}: {text}")


@contextmanager
def reading(source: Source, *, application_name: str, seconds: float) -> Iterator[Connection]:
    """A session of the reader; whatever it runs belongs into `read_only`."""
    settings = source.parse(Settings)
    connection = connect(settings, settings.reader, application_name=application_name, seconds=seconds)
    with connection:
        yield connection


@contextmanager
def read_only(connection: Connection, seconds: float) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """A transaction that cannot write and in which no statement outlives `seconds`. Raises DriverError.

    BEGIN READ ONLY cannot be undone by a later SET inside it, and it passes a connection pooler where start-up options
    are refused.
    """
    limits = {"statement_timeout": f"{max(1, int(seconds * 1000))}ms", "lock_timeout": "500ms"}
    try:
        connection.execute("BEGIN READ ONLY")
        for name, value in limits.items():
            connection.execute("SELECT set_config(%s, %s, true)", [name, value])
        with psycopg.ClientCursor(connection) as cursor:
            yield cursor
        connection.execute("COMMIT")
    except psycopg.Error as error:
        if not connection.closed:
            connection.rollback()
        raise refusal(error) from error


def identify(connection: Connection, source: Source, seconds: float) -> Target:
    """Who answers: the system identifier outlives restarts and is shared by replicas, the start time does not.

    Where it is kept from the reader (managed services do), the target has no identity: reads go on, changes do not.
    """
    known = Target(source=source.name, kind="postgres", address=address(source))
    try:
        with read_only(connection, seconds) as cursor:
            ((system, database, started),) = rows(cursor, IDENTITY, {}, 1)
    except DriverError as error:
        if error.outcome in {Outcome.FORBIDDEN, Outcome.NOT_FOUND}:
            return known
        raise
    return replace(known, identity=f"postgres:{system}/{database}", instance=f"started {started}")


def holds_role(connection: Connection, role: str, seconds: float) -> bool:
    """Whether we have the rights of a role; a superuser has those of all."""
    with read_only(connection, seconds) as cursor:
        ((held,),) = rows(cursor, "SELECT pg_has_role(current_user, %(role)s, 'USAGE')", {"role": role}, 1)
    return bool(held)


def version(connection: Connection) -> float:
    """14.5 as 14.05, so that versions compare as numbers."""
    return connection.info.server_version / 10000


def rows(cursor: psycopg.Cursor[Any], text: str, params: Mapping[str, object], most: int) -> list[tuple[Any, ...]]:
    cursor.execute(text.encode(), params or None)
    return cursor.fetchmany(most)


def pasteable(connection: Connection, text: str, params: Mapping[str, object]) -> str:
    """The statement with its parameters filled in, for a person to paste."""
    with psycopg.ClientCursor(connection) as cursor:
        return cursor.mogrify(text.encode(), params or None)


LEASE = 7_236_811_204_417_359_901
"""The key of the advisory lock that whoever changes something holds, so that two laptops see each other."""


@contextmanager
def acting(source: Source, *, application_name: str, seconds: float) -> Iterator[Connection]:
    """A session of the actor: only the process that applies an approved plan opens one. Raises DriverError."""
    settings = source.parse(Settings)
    if settings.actor is None:
        raise PlanRefusedError(
            f"the profile names no actor for {source.name}: {source.marks.get(('sources', source.name))}"
        )
    with connect(settings, settings.actor, application_name=application_name, seconds=seconds) as connection:
        yield connection


def take_lease(connection: Connection) -> None:
    """Takes the target's lease for as long as this session lives. Raises PlanRefusedError with who holds it."""
    with read_only(connection, 5) as cursor:
        ((taken,),) = rows(cursor, "SELECT pg_try_advisory_lock(%(key)s)", {"key": LEASE}, 1)
        if taken:
            return
        holder = (
            "SELECT a.pid, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %(high)s AND l.objid = %(low)s"
        )
        found = rows(cursor, holder, {"high": LEASE >> 32, "low": LEASE & 0xFFFFFFFF}, 1)
    who = f"{found[0][1]} (pid {found[0][0]})" if found else "somebody who has just let go"
    raise PlanRefusedError(f"{who} is changing this database now: wait for it, then run the notebook again")


def change(connection: Connection, call: str, *, seconds: float, lock_seconds: float) -> psycopg.Cursor[Any]:
    """One call of an approved plan, outside a transaction block, under the server's own limits. Raises DriverError.

    `lock_seconds` is how long it waits for any one lock.
    """
    limits = {
        "statement_timeout": f"{int(seconds * 1000)}ms",
        "lock_timeout": f"{int(lock_seconds * 1000)}ms",
        # Where we are killed, the server notices during the statement, and neither it nor our lease stays behind.
        "client_connection_check_interval": "1s",
    }
    try:
        for name, value in limits.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        return connection.execute(call.encode())
    except psycopg.Error as error:
        raise refusal(error) from error


def quoted(*names: str) -> str:
    """A name, qualified where several are given, quoted as an identifier."""
    return sql.Identifier(*names).as_string(None)
