"""One sandbox for all tests that leave it as they found it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from runbook_lib import sandbox

SEED = 11


def sessions_as(state: Path, half: str) -> psycopg.Connection[Any]:
    """A session as the reader or the actor, from nothing but sources.yaml."""
    source = yaml.safe_load((state / "sources.yaml").read_text())["sources"]["shop_db"]
    password = Path(source[half]["password"].removeprefix("file:")).read_text()
    where = {key: source[key] for key in ("host", "port", "sslmode")}
    user = source[half]["user"]
    return psycopg.connect(**where, dbname=source["database"], user=user, password=password, autocommit=True)


def rows(state: Path, query: str, *values: object, half: str = "reader") -> list[tuple[Any, ...]]:
    with sessions_as(state, half) as connection:
        return connection.execute(query.encode(), values or None).fetchall()


def eventually(done: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sandbox.Status]:
    status = sandbox.up(tmp_path_factory.mktemp("sandbox") / "state", seed=SEED, owner=True)
    yield status
    sandbox.down(status.state)


@pytest.fixture
def broken(box: sandbox.Status) -> Iterator[Callable[..., sandbox.Fault]]:
    """Breaks it, and heals it after the test, whatever came of that."""
    yield lambda name, seed=None: sandbox.break_fault(box.state, name, seed=seed)
    sandbox.heal(box.state)
