import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runbook_lib.archive.store import Archive, IncidentFolder, RunFolder

NOTEBOOKS = Path(__file__).parent.parent / "notebooks_for_tests"
PATIENCE = 60


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.at(tmp_path / "archive")


@pytest.fixture
def incident(archive: Archive) -> IncidentFolder:
    return archive.incident("inc-test")


@pytest.fixture
def book() -> Callable[[str], str]:
    """The path of a fixture notebook."""
    return lambda name: str(NOTEBOOKS / f"{name}.ipynb")


@pytest.fixture
def saved() -> Callable[[RunFolder], dict[str, Any]]:
    """A run's notebook as it is on disk."""
    return lambda run: json.loads((run.path / "notebook.ipynb").read_text("utf-8"))


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Any]:
    """Waits, within reason, until something is so."""

    def wait(so: Callable[[], object]) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := so():
                return found
            time.sleep(0.05)
        raise AssertionError("it did not come about in time")

    return wait


@pytest.fixture
def runbook_run(archive: Archive, book: Callable[[str], str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `runbook run` as a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "runbook_lib", "run", book(name), "--archive", str(archive.root), *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, **pipes, env=os.environ | {"COLUMNS": "200"}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=PATIENCE)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(name="alive")
def alive_fixture() -> Callable[[int], bool]:
    return alive
