"""The running platform, as its supervisor holds it: servers, shop, load, and what a fault needs to break them."""

import http.client
import json
import random
import socket
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml
from psycopg import sql

from runbook_lib.errors import SandboxError
from runbook_lib.sandbox import schema, valkey
from runbook_lib.sandbox.folder import load_records
from runbook_lib.sandbox.names import names
from runbook_lib.sandbox.postgres import Postgres
from runbook_lib.sandbox.processes import Children, wait_until
from runbook_lib.sandbox.settings import ACTOR, DATABASE, HOST, ORDERS, READER, REDIS_SECRET, Settings

SERVERS = ("postgres", "valkey")
SHOP = ("payments", "api", "worker", "sync", "load")
CHECKED = ("api", "worker", "payments")
HEALTHY_SECONDS = 2
# Outside the range from which systems hand out ports by themselves, so that one stays ours while its server is down.
PORTS = range(15_000, 32_000)


def free_ports(wanted: tuple[str, ...]) -> dict[str, int]:
    """A port for each name, bound by nobody a moment ago."""
    chance, ports = random.SystemRandom(), dict[str, int]()
    while len(ports) < len(wanted):
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            if port not in ports.values() and probe.connect_ex((HOST, port)) != 0:
                ports[wanted[len(ports)]] = port
    return ports


class Box:
    """One sandbox. `progress` is told each step in a few words."""

    def __init__(self, state: Path, seed: int, progress: Callable[[str], None]) -> None:
        self.state = state
        self.seed = seed
        self.progress = progress
        self.settings = Settings(state=state, names=names(seed), ports=free_ports((*SERVERS, *SHOP)))
        self.children = Children(state / "logs")
        self.postgres = Postgres(self.settings, self.children)
        self.jobs: list[str] = []
        self.indexes: dict[str, str] = {}

    def start(self) -> None:
        """Brings everything up and waits until the shop serves its customers."""
        self.settings.make_secrets()
        for service in SHOP:
            self.start_service(service)
        self.progress("starting Valkey and PostgreSQL")
        valkey.start(self.settings, self.children)
        self.postgres.install()
        self.postgres.start()
        self.progress(f"filling {self.settings.names.table} with {ORDERS:,} rows")
        self._fill()
        self.progress("opening the shop")
        self._write_sources()
        self.settings.write()
        self.settle()

    def start_service(self, name: str, release: int = 1) -> None:
        extra = {"sync": [str(release)], "load": [str(self.seed)]}.get(name, [])
        self.children.start_python(name, name, str(self.state), *extra)

    def start_job(
        self, application: str, statements: list[sql.Composed], *, sessions: int = 1, last: sql.Composed | None = None
    ) -> None:
        """Starts a job of the shop that works in transactions; see `shop.job`."""
        job = {
            "application": application,
            "sessions": sessions,
            "statements": [statement.as_string() for statement in statements],
            "last": last and last.as_string(),
        }
        self.children.start_python(application, "job", str(self.state), json.dumps(job))
        self.jobs.append(application)

    def stop_jobs(self) -> None:
        """Ends the jobs, and their sessions: a server does not notice a lost client while a statement runs."""
        self.children.stop(self.jobs)
        self.jobs.clear()
        self.rows("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'jobs'")

    def stop(self) -> None:
        self.children.stop([name for name in self.children.running if name not in SERVERS])
        self.postgres.stop()
        self.children.close()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a superuser sees, unseen by the statistics."""
        with closing(self.postgres.connect(DATABASE)) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def settle(self) -> None:
        """Waits for a shop that is well, then lets the statistics begin."""
        started = time.time()
        wait_until("a healthy shop", lambda: self._healthy(started), 45, pause=0.1)
        with closing(self.postgres.connect(DATABASE)) as connection:
            schema.reset_statistics(connection)

    def restore(self) -> None:
        """The baseline again, whatever a fault or a mitigation left behind."""
        if "postgres" not in self.children.running:
            self.postgres.start()
        self.stop_jobs()
        with closing(self.postgres.connect(DATABASE)) as connection:
            schema.restore_indexes(connection, self.indexes)
        self.settle()

    def _healthy(self, since: float) -> bool:
        for name in (*SERVERS, *SHOP):
            if name not in self.children.running:
                raise SandboxError(f"{name} ended: {self.children.tail(name)}")
        seconds = load_records(self.state, since)[-HEALTHY_SECONDS:]
        served = len(seconds) == HEALTHY_SECONDS and not any(second["errors"] for second in seconds)
        return served and all(map(self._answers, CHECKED)) and self._drained()

    def _answers(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint(name), timeout=2) as response:  # noqa: S310 - our own loopback
                return bool(response.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    def _drained(self) -> bool:
        import redis

        try:
            with valkey.client(self.settings) as connection:
                return not connection.llen(self.settings.names.jobs)
        except redis.RedisError:
            return False

    def endpoint(self, name: str) -> str:
        """Where a service says whether it is well."""
        return f"http://{HOST}:{self.settings.ports[name]}/health"

    def _fill(self) -> None:
        with closing(self.postgres.connect("postgres")) as connection:
            schema.create_roles(connection, self.settings)
        with closing(self.postgres.connect(DATABASE)) as connection:
            schema.create_shop(connection, self.settings, salt=str(self.seed))
            self.indexes = schema.indexes(connection)

    def _write_sources(self) -> None:
        ports = self.settings.ports

        def password(name: str) -> str:
            return f"file:{self.settings.secret_path(name)}"

        sources: dict[str, Any] = {
            "shop_db": {"kind": "postgres", "host": HOST, "port": ports["postgres"], "database": DATABASE}
            | {"sslmode": "disable"}
            | {
                half: {"user": role, "password": password(role)}
                for half, role in (("reader", READER), ("actor", ACTOR))
            },
            "shop_redis": {"kind": "redis", "host": HOST, "port": ports["valkey"], "database": 0}
            | {"password": password(REDIS_SECRET), "lists": [self.settings.names.jobs]},
            "shop_http": {"kind": "http", "endpoints": {name: self.endpoint(name) for name in CHECKED}},
        }
        head = "# Written by `runbook sandbox up`"
        text = yaml.safe_dump({"sources": sources}, sort_keys=False)
        title = f"{head}; endpoints and secret references of the sandbox in this folder.\n"
        (self.state / "sources.yaml").write_text(title + text)
        profile = yaml.safe_dump({"extends": "sandbox", "sources_from": str(self.state / "sources.yaml")})
        (self.state / "profile.yaml").write_text(f"{head}.\n{profile}")
