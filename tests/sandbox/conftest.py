"""One sandbox for all tests that leave it as they found it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import yaml

from runbook_lib import sandbox
from runbook_lib.sandbox.processes import pids_below

SEED = 11


Rows = Callable[..., list[tuple[Any, ...]]]
Eventually = Callable[[Callable[[], object], float], bool]


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Status]:
    status = sandbox.up(tmp_path_factory.mktemp("sandbox") / "state", seed=SEED, owner=True)
    yield status
    pids = pids_below(status.pid)
    sandbox.down(status.state)
    assert not [pid for pid in pids if psutil.pid_exists(pid)], "`down` leaves no process"
    assert not status.state.exists(), "`down` leaves no folder"


@pytest.fixture
def session(box: sandbox.Status) -> Callable[[str], psycopg.Connection[Any]]:
    """Connects as the `reader` or the `actor`, from nothing but sources.yaml."""
    source = yaml.safe_load(box.sources.read_text())["sources"]["shop_db"]
    where = {key: source[key] for key in ("host", "port", "sslmode")} | {"dbname": source["database"]}

    def connect(half: str) -> psycopg.Connection[Any]:
        password = Path(source[half]["password"].removeprefix("file:")).read_text()
        return psycopg.connect(**where, user=source[half]["user"], password=password, autocommit=True)

    return connect


@pytest.fixture
def rows(session: Callable[[str], psycopg.Connection[Any]]) -> Rows:
    """Runs one query in a session of its own, as the reader unless told."""

    def ask(query: str, *values: object, half: str = "reader") -> list[tuple[Any, ...]]:
        with session(half) as connection:
            return connection.execute(query.encode(), values or None).fetchall()

    return ask


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Whether something comes true within so many seconds."""

    def wait(done: Callable[[], object], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    return wait


@pytest.fixture
def broken(box: sandbox.Status) -> Iterator[Callable[..., sandbox.Fault]]:
    """Breaks it, and heals it after the test, whatever came of that."""
    yield lambda name, seed=None: sandbox.break_fault(box.state, name, seed=seed)
    sandbox.heal(box.state)
