"""Ctrl-C in the middle of a drill."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Servers, kernels and the sandbox's folder are gone, and the exit status is 130."""
    place = tmp_path / "tmp"
    place.mkdir()
    command = [
        sys.executable,
        "-m",
        "runbook_lib",
        "drill",
        "lock_held",
        "none",
        "--archive",
        str(tmp_path / "archive"),
    ]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {"PATH": "/usr/bin:/bin", "TMPDIR": str(place)}
    # Where the tests themselves run in the background, SIGINT is ignored, and a child would inherit that.
    drill = subprocess.Popen(command, **pipes, env=env, preexec_fn=_hear_sigint)  # noqa: PLW1509 - no threads here
    family = psutil.Process(drill.pid)
    ready, end = [], time.monotonic() + 120
    while len(ready) < 2 and time.monotonic() < end:
        ready = [c for c in family.children(recursive=True) if "runbook_lib.sandbox.shop.api" in " ".join(_words(c))]
        time.sleep(0.2)
    assert len(ready) == 2
    everyone = family.children(recursive=True)
    drill.send_signal(signal.SIGINT)
    _, said = drill.communicate(timeout=90)
    assert drill.returncode == 130, said.decode()
    assert b"Traceback" not in said
    _, alive = psutil.wait_procs(everyone, timeout=30)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    assert [p.name for p in place.iterdir() if not p.name.startswith("pymp-")] == []


def _hear_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
