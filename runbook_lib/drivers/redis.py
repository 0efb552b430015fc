"""Redis and Valkey by redis-py; retries are off, since they turn a time-out of 1 s into one of 15."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from runbook_lib import secrets
from runbook_lib.drivers import network
from runbook_lib.errors import DriverError
from runbook_lib.model import Outcome, Target
from runbook_lib.profile import Source, Strict

BY_CLASS = (
    (redis.exceptions.AuthenticationError, Outcome.AUTH),
    (redis.exceptions.NoPermissionError, Outcome.FORBIDDEN),
    (redis.exceptions.BusyLoadingError, Outcome.STARTING),
    (redis.exceptions.MasterDownError, Outcome.STARTING),
    (redis.exceptions.TimeoutError, Outcome.TIMED_OUT),
)
# What redis-py has no class for.
BY_TEXT = (
    ("NOAUTH", Outcome.AUTH),
    ("Authentication required", Outcome.AUTH),
    ("WRONGPASS", Outcome.AUTH),
    ("invalid username-password", Outcome.AUTH),
    ("max number of clients", Outcome.EXHAUSTED),
    ("unknown command", Outcome.NOT_FOUND),
    ("Connection closed", Outcome.REFUSED),
)


class Settings(Strict):
    """`lists` are the job lists whose length matters."""

    host: str
    port: int = 6379
    database: int = 0
    user: str = "default"
    password: str = ""
    tls: bool = False
    lists: tuple[str, ...] = ()


def preflight(source: Source) -> None:
    settings = source.parse(Settings)
    if settings.password:
        secrets.resolve(settings.password)


def hidden(source: Source) -> set[str]:  # noqa: ARG001 - no actor yet: nothing here changes Redis
    return set()


def address(source: Source) -> str:
    settings = source.parse(Settings)
    return f"{settings.host}:{settings.port}/{settings.database}"


@contextmanager
def reading(source: Source, *, application_name: str, seconds: float) -> Iterator[Any]:
    """A client of the reader. Raises DriverError, also for what fails inside the block."""
    settings = source.parse(Settings)
    client = redis.Redis(
        host=settings.host,
        port=settings.port,
        db=settings.database,
        username=settings.user if settings.password else None,
        password=secrets.resolve(settings.password) if settings.password else None,
        ssl=settings.tls,
        client_name=application_name.replace(" ", "_"),
        socket_connect_timeout=seconds,
        socket_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="replace",
        protocol=2,
    )
    try:
        client.ping()
        yield client
    except (redis.RedisError, OSError) as error:
        raise refusal(error) from error
    finally:
        client.close()


def refusal(error: Exception) -> DriverError:
    """The failure as an outcome: by its class, by what the operating system said, by its text."""
    text = " ".join(str(error).split())
    named = next((outcome for kind, outcome in BY_CLASS if isinstance(error, kind)), None)
    found = named or network.outcome(error) or next((o for needle, o in BY_TEXT if needle in text), None)
    if found is None:
        return DriverError(Outcome.FAILED, f"{type(error).__name__}: {text}")
    return DriverError(found, text)


def identify(client: Any, source: Source) -> Target:
    """A deployment by its address: run id and replication id change at a restart and are kept beside it.

    A reader that may not ask INFO gets a target without an identity: it may look, and nothing may be changed.
    """
    try:
        replication, server = client.info("replication"), client.info("server")
    except redis.exceptions.NoPermissionError:
        return Target(source=source.name, kind="redis", address=address(source))
    return Target(
        source=source.name,
        kind="redis",
        address=address(source),
        identity=f"redis:{address(source)}",
        instance=f"run {server.get('run_id')}, replication {replication.get('master_replid')}",
    )


def command(client: Any, *words: str) -> Any:
    """One command. Raises DriverError."""
    try:
        if words[:2] == ("SLOWLOG", "GET"):
            return client.slowlog_get(int(words[2]))
        return client.execute_command(*words)
    except (redis.RedisError, OSError) as error:
        raise refusal(error) from error
