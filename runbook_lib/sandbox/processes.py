"""The processes of a sandbox: started, watched and ended by the pids that we started, never by name."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runbook_lib.errors import SandboxError

GUARDIAN = Path(__file__).with_name("guardian.py")
SOURCE = Path(__file__).parents[2]
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def die_with_parent(number: int) -> Callable[[], None] | None:
    """On Linux the kernel itself ends a child of a dead parent; the guardian alone could be killed together with it."""
    if sys.platform != "linux":
        return None
    return lambda: LIBC.prctl(PR_SET_PDEATHSIG, number) and None


def wait_until(what: str, done: Callable[[], object], seconds: float, pause: float = 0.05) -> None:
    """Returns as soon as `done()` is true.

    Raises:
        SandboxError: it was not after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise SandboxError(f"waited {seconds:.0f} s for {what}, in vain")
        time.sleep(pause)


class Children:
    """Every child of the supervisor, with its log under `logs`."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(exist_ok=True)
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARDIAN)], stdin=subprocess.PIPE, start_new_session=True
        )

    def start(self, name: str, command: Sequence[str], *, ended_by: int = signal.SIGTERM, **options: Any) -> int:
        """Starts a process that cannot outlive this one; returns its pid."""
        with (self.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(ended_by),  # noqa: PLW1509 - one prctl, no lock taken
                **options,
            )
        self._tell_guardian(child.pid, ended_by)
        self.running[name] = child
        return child.pid

    def start_python(self, name: str, module: str, *arguments: str) -> int:
        command = [sys.executable, "-m", f"runbook_lib.sandbox.shop.{module}", *arguments]
        return self.start(name, command, cwd=SOURCE)

    def stop(self, names: Iterable[str], number: int = signal.SIGTERM, seconds: float = 5) -> None:
        """Ends these, side by side; those that do not listen are killed."""
        ending = [(name, self.running[name]) for name in names if name in self.running]
        for _, child in ending:
            with suppress(ProcessLookupError):
                child.send_signal(number)
        deadline = time.monotonic() + seconds
        for name, child in ending:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            self._forget(name)

    def reap(self) -> None:
        """Notices which have ended by themselves.

        Raises:
            SandboxError: the guardian is gone, so nobody would end the others after us.
        """
        for name, child in list(self.running.items()):
            if child.poll() is not None:
                self._forget(name)
        if self._guardian.poll() is not None:
            raise SandboxError("the guardian process is gone")

    def close(self) -> None:
        self.stop(list(self.running))
        assert self._guardian.stdin is not None  # noqa: S101 - it was opened as a pipe
        with suppress(BrokenPipeError):
            self._guardian.stdin.close()
        try:
            self._guardian.wait(5)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()

    def tail(self, name: str, size: int = 400) -> str:
        """The last words of a log on one line, for an error message."""
        log = self.logs / f"{name}.log"
        return " ".join(log.read_text(errors="replace")[-size:].split()) if log.exists() else ""

    def _forget(self, name: str) -> None:
        self._tell_guardian(self.running.pop(name).pid, 0)

    def _tell_guardian(self, pid: int, number: int) -> None:
        assert self._guardian.stdin is not None  # noqa: S101 - it was opened as a pipe
        with suppress(BrokenPipeError):
            self._guardian.stdin.write(f"{pid} {int(number)}\n".encode())
            self._guardian.stdin.flush()


def pids_below(pid: int) -> list[int]:
    """The pid and all its descendants."""
    import psutil

    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
