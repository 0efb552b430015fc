"""Whatever ends a sandbox, nothing of it is left: no process, no port, no folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from runbook_lib import sandbox
from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox.processes import pids_below

Eventually = Callable[[Callable[[], object], float], bool]
UP = """
import pathlib, sys, time
from runbook_lib import sandbox
sandbox.up(pathlib.Path(sys.argv[1]), owner=True)
print("up", flush=True)
time.sleep(600)
"""


def gone(pids: list[int]) -> bool:
    """A zombie is gone: it only waits for this process, its parent, to take note."""
    return not [process for process in psutil.process_iter(["status"]) if process.pid in pids and not zombie(process)]


def zombie(process: psutil.Process) -> bool:
    return bool(process.info["status"] == psutil.STATUS_ZOMBIE)  # type: ignore[attr-defined] # process_iter sets it


def closed(status: sandbox.Status) -> bool:
    with_port = [service.port for service in status.services]
    for port in with_port:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runbook_lib", "sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_beside_another_killed_stale_and_owned(box: sandbox.Status, tmp_path: Path, eventually: Eventually) -> None:
    """A second one on the command line; its supervisor is killed, then that of its successor's owner: nothing stays."""
    state = tmp_path / "second"
    shown = json.loads(run("up", "--state", str(state), "--seed", "4", "--json").stdout)
    first, pids = sandbox.status(state), pids_below(shown["pid"])
    assert len(pids) > 8
    assert not {service.port for service in first.services} & {service.port for service in box.services}
    again = run("up", "--state", str(state))
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "is up in" in again.stderr
    os.kill(first.pid, signal.SIGKILL)
    assert eventually(lambda: gone(pids) and closed(first), 8)
    assert sandbox.status(state).phase == "dead"
    with pytest.raises(SandboxError, match="is not up"):
        sandbox.heal(state)
    owner_is_killed(state, eventually)
    assert all(service.running for service in sandbox.status(box.state).services)
    sandbox.down(state)


def owner_is_killed(state: Path, eventually: Eventually) -> None:
    with subprocess.Popen([sys.executable, "-c", UP, str(state)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n", "the stale folder is cleaned"
        status = sandbox.status(state)
        pids = pids_below(status.pid)
        owner.kill()
    assert eventually(lambda: gone(pids) and closed(status) and not state.exists(), 8)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_up_that_is_ended_leaves_nothing(tmp_path: Path, number: int, eventually: Eventually) -> None:
    """Ctrl-C, and even SIGKILL, in the middle of `up`."""
    state = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-m", "runbook_lib", "sandbox", "up", "--state", str(state)])
    with process:
        assert eventually((state / "postgres").exists, 20)
        pids = pids_below(sandbox.status(state).pid)
        process.send_signal(number)
        process.wait(20)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert eventually(lambda: gone(pids) and not state.exists(), 8)


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    """A folder that is no sandbox is refused with exit status 2, by `up` and by `down`, and stays as it is."""
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run("up", "--state", str(tmp_path)).returncode == 2
    (tmp_path / "sandbox.json").write_text('{"kind": "something else"}')
    with pytest.raises(UsageError, match="not a sandbox"):
        sandbox.down(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_no_sandbox(tmp_path: Path) -> None:
    """Where there is none, one line says so and how to make one; an unknown fault is exit status 2."""
    done = run("status", "--state", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "sandbox up" in done.stderr
    assert run("break", "gremlins", "--state", str(tmp_path)).returncode == 2


def test_help_is_quick() -> None:
    """The group imports nothing heavy."""
    started = time.perf_counter()
    code = "import sys, runbook_lib.cli.sandbox; print([m for m in ('psycopg', 'psutil', 'rich') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
    assert time.perf_counter() - started < 30
