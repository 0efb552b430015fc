"""Whatever ends a sandbox, nothing of it is left: no process, no port, no folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import eventually

from runbook_lib import sandbox
from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox.processes import pids_below

OWNER = "import sys, time, pathlib; from runbook_lib import sandbox; p = pathlib.Path(sys.argv[1]); {}; time.sleep(600)"
UP = OWNER.format("sandbox.up(p, owner=True); print('up', flush=True)")


def gone(pids: list[int]) -> bool:
    return not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


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


def test_command_line_up_and_down_beside_another(box: sandbox.Status, tmp_path: Path) -> None:
    """A second sandbox comes up beside the first; `up` again says so; `down` leaves nothing, and the first lives."""
    state = tmp_path / "second"
    shown = json.loads(run("up", "--state", str(state), "--seed", "4", "--json").stdout)
    status = sandbox.status(state)
    pids = pids_below(shown["pid"])
    assert len(pids) > 8
    assert not {service.port for service in status.services} & {service.port for service in box.services}
    again = run("up", "--state", str(state))
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "is up in" in again.stderr
    assert json.loads(run("down", "--state", str(state), "--json").stdout)["phase"] == "down"
    assert gone(pids)
    assert closed(status)
    assert not state.exists()
    assert all(service.running for service in sandbox.status(box.state).services)
    sandbox.down(state)


def test_killed_supervisor_leaves_a_stale_folder_that_up_cleans(tmp_path: Path) -> None:
    """SIGKILL of the supervisor ends every process; the folder is recognised as stale, and `up` begins anew."""
    state = tmp_path / "state"
    status = sandbox.up(state, owner=True)
    pids = pids_below(status.pid)
    os.kill(status.pid, signal.SIGKILL)
    assert eventually(lambda: gone(pids), 8)
    assert closed(status)
    assert sandbox.status(state).phase == "dead"
    with pytest.raises(SandboxError, match="is not up"):
        sandbox.heal(state)
    process = subprocess.Popen([sys.executable, "-c", UP, str(state)], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        second = sandbox.status(state)
        pids = pids_below(second.pid)
        process.kill()
    assert eventually(lambda: gone(pids) and not state.exists(), 8), "its owner was killed, so it had to end"
    assert closed(second)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_up_that_is_ended_leaves_nothing(tmp_path: Path, number: int) -> None:
    """Ctrl-C, and even SIGKILL, in the middle of `up`."""
    state = tmp_path / "state"
    process = subprocess.Popen([sys.executable, "-m", "runbook_lib", "sandbox", "up", "--state", str(state)])
    with process:
        assert eventually(lambda: (state / "postgres").exists(), 20)
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
