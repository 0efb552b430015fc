"""One sandbox for all tests of mitigations; each test works in an incident of its own, with sessions of its own."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from runbook_lib import incidents, mitigations, sandbox
from runbook_lib import profile as profiles
from runbook_lib.archive.store import Archive, IncidentFolder
from runbook_lib.mitigations.plan import Plan
from runbook_lib.model import Finding, Json, Suggestion
from runbook_lib.profile import Profile

Connect = Callable[..., psycopg.Connection[Any]]
Propose = Callable[..., Plan]


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Status]:
    status = sandbox.up(tmp_path_factory.mktemp("sandbox") / "state", seed=5, owner=True)
    yield status
    sandbox.down(status.state)


@pytest.fixture(scope="session", autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests never touch the key of the person who runs them."""
    before, path = os.environ.get("RUNBOOK_KEY"), tmp_path_factory.mktemp("keys") / "key"
    os.environ["RUNBOOK_KEY"] = str(path)
    yield path
    os.environ.pop("RUNBOOK_KEY")
    if before is not None:
        os.environ["RUNBOOK_KEY"] = before


@pytest.fixture
def profile(box: sandbox.Status) -> Profile:
    return profiles.load(str(box.profile))


@pytest.fixture
def incident(tmp_path: Path) -> IncidentFolder:
    return incidents.declare(Archive.at(tmp_path / "archive"), "something is wrong", profile="sandbox")


@pytest.fixture
def variant(box: sandbox.Status, tmp_path: Path) -> Callable[..., Profile]:
    """The sandbox's profile with some settings of its database changed; None takes a setting away."""

    def make(**settings: object) -> Profile:
        raw = yaml.safe_load(box.sources.read_text())
        changed = {**raw["sources"]["shop_db"], **settings}
        raw["sources"]["shop_db"] = {k: v for k, v in changed.items() if v is not None}
        (tmp_path / "sources.yaml").write_text(yaml.safe_dump(raw))
        path = tmp_path / "variant.yaml"
        path.write_text(f"extends: sandbox\nsources_from: {tmp_path / 'sources.yaml'}\n")
        return profiles.load(str(path))

    return make


@pytest.fixture
def connect(box: sandbox.Status) -> Iterator[Connect]:
    """Opens sessions as a role of the sandbox, under any application's name; all are closed after the test."""
    source = yaml.safe_load(box.sources.read_text())["sources"]["shop_db"]
    opened: list[psycopg.Connection[Any]] = []

    def make(role: str = "api", application: str = "victim", *, autocommit: bool = True) -> psycopg.Connection[Any]:
        connection: psycopg.Connection[Any] = psycopg.connect(
            host=source["host"],
            port=source["port"],
            dbname=source["database"],
            user=role,
            password=(box.state / "secrets" / role).read_text(),
            application_name=application,
            autocommit=autocommit,
        )
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def table(connect: Connect) -> Iterator[str]:
    """A table of the shop's owner, with enough rows that an index on it takes a moment."""
    owner = connect("shop_owner", "schema")
    owner.execute("CREATE TABLE parcels (id bigint, customer text, weight int)")
    owner.execute("INSERT INTO parcels SELECT n, md5(n::text), n % 50 FROM generate_series(1, 100000) n")
    owner.execute("ANALYZE parcels")
    yield "parcels"
    owner.execute("SET lock_timeout = '10s'")
    owner.execute("DROP TABLE parcels")


@pytest.fixture
def propose(profile: Profile, incident: IncidentFolder) -> Propose:
    def make(kind: str, *, profile: Profile = profile, findings: tuple[Finding, ...] = (), **arguments: Json) -> Plan:
        suggestion = Suggestion(kind=kind, source="shop_db", arguments=arguments, why="a test")
        return mitigations.propose(suggestion, profile, incident, findings)

    return make


def session_of(connection: psycopg.Connection[Any]) -> dict[str, Json]:
    """As a cause names a session in its Suggestion."""
    row = connection.execute("SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone()
    assert row is not None
    return {"pid": connection.info.backend_pid, "backend_start": row[0].isoformat()}


def by_role(box: sandbox.Status, role: str) -> list[str]:
    """What the server's own log says that this role ran."""
    lines = (box.state / "logs" / "postgres.log").read_text("utf-8", "replace").splitlines()
    return [line for line in lines if f"user={role} " in line and ("statement:" in line or "execute" in line)]


def ended(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def indexes(connection: psycopg.Connection[Any], table: str) -> dict[str, bool]:
    """Name and validity of each index of a table."""
    rows = connection.execute(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass",
        [table],
    )
    return dict(rows.fetchall())
