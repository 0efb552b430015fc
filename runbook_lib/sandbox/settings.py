"""What every process of a sandbox has to know, in one file of the state folder."""

import json
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from runbook_lib.errors import SandboxError
from runbook_lib.sandbox.names import Names

HOST = "127.0.0.1"
DATABASE = "shop"
SUPERUSER = "postgres"
OWNER = "shop_owner"
READER = "runbook_reader"
ACTOR = "runbook_actor"
SERVICE_ROLES = ("api", "worker", "sync", "jobs")
ROLES = (SUPERUSER, OWNER, READER, ACTOR, *SERVICE_ROLES)
REDIS_SECRET = "redis"  # noqa: S105 - the name of a file, not a password
PASSWORD = "open sesame"  # noqa: S105 - of every customer of a shop that is no shop
ORDERS = 600_000
CUSTOMERS = 20_000
PRODUCTS = 2_000
SHOP_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where everything is; passwords stay in their files until they are used."""

    state: Path
    names: Names
    ports: dict[str, int]

    @classmethod
    def read(cls, state: Path) -> "Settings":
        """Waits for the file: services are started early, import what they need, and begin once there is a shop."""
        path, deadline = state / "shop.json", time.monotonic() + SHOP_SECONDS
        while not path.exists():
            if time.monotonic() > deadline:
                raise SandboxError(f"{path} did not appear within {SHOP_SECONDS} s")
            time.sleep(0.05)
        raw = json.loads(path.read_text())
        return cls(state=state, names=Names(**raw["names"]), ports=raw["ports"])

    def write(self) -> None:
        temporary = self.state / ".shop.json"
        temporary.write_text(json.dumps({"names": asdict(self.names), "ports": self.ports}))
        temporary.replace(self.state / "shop.json")

    def make_secrets(self) -> None:
        folder = self.state / "secrets"
        folder.mkdir(mode=0o700)
        for name in (*ROLES, REDIS_SECRET):
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))

    def secret_path(self, name: str) -> Path:
        return self.state / "secrets" / name

    def secret(self, name: str) -> str:
        return self.secret_path(name).read_text()

    def conninfo(self, role: str, application: str, database: str = DATABASE) -> str:
        from psycopg.conninfo import make_conninfo

        return make_conninfo(
            host=HOST,
            port=self.ports["postgres"],
            dbname=database,
            user=role,
            password=self.secret(role),
            application_name=application,
            connect_timeout=3,
            sslmode="disable",
        )
