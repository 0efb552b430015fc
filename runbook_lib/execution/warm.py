"""Kernels forked from a process that has already imported what a notebook needs: no two seconds of imports a run.

`with warm.kernels():` starts that process in the background; runs within it take their kernels from there, others
start them cold. Linux only: forking after the imports is not safe on macOS.
"""

import asyncio
import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from runbook_lib.execution.leash import leashed

log = logging.getLogger(__name__)
PROVISIONER = "runbook-warm"
KEPT = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "USER", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
KEPT_PREFIXES = ("LC_", "XDG_", "MPL", "PYTHON", "JUPYTER", "IPYTHON", "OPENBLAS_", "OMP_", "COVERAGE_")

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""A process with threads cannot be forked safely."""


class Zygote:
    """Our end of the process that forks (module `zygote`). It ends with this one, and its kernels with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair()
        # A forked process shows the environment of the first one in /proc: no secret may be in that.
        kept = {k: v for k, v in os.environ.items() if k in KEPT or k.startswith(KEPT_PREFIXES)} | ONE_THREAD
        with theirs:
            self._process = subprocess.Popen(
                leashed([sys.executable, "-P", "-m", "runbook_lib.execution.zygote", str(theirs.fileno())]),
                env=kept,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fork(self, argv: list[str], *, cwd: str, env: Mapping[str, str]) -> "Forked":
        """A kernel with these arguments. Raises OSError when the process is gone."""
        request = json.dumps({"argv": argv, "cwd": cwd, "env": dict(env)}).encode()
        ours, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._channel, [len(request).to_bytes(8, "big")], [theirs])
                self._channel.sendall(request)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return Forked(ours)

    def close(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()


class Forked:
    """A forked kernel, with as much of Popen's face as a provisioner asks for."""

    stdin = stdout = stderr = None

    def __init__(self, told: int) -> None:
        self._told = told
        self._words = b""
        self.returncode: int | None = None
        while not self._words.endswith(b"\n"):
            self._read("the process that forks kernels has ended")
        self.pid = int(self._words)
        self._words = b""

    def _read(self, if_gone: str) -> None:
        words = os.read(self._told, 64)
        if not words:
            os.close(self._told)
            raise ChildProcessError(if_gone)
        self._words += words

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        while self.returncode is None and select.select([self._told], [], [], 0)[0]:
            try:
                self._read("killed with its parent")
            except ChildProcessError:
                self.returncode = -signal.SIGKILL
                return self.returncode
            if self._words.endswith(b"\n"):
                self.returncode = int(self._words)
                os.close(self._told)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end; raises TimeoutError after `timeout` seconds."""
        while self.poll() is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} still runs after {timeout:g} s")
        assert self.returncode is not None  # noqa: S101 - what the loop waited for
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmProvisioner(LocalProvisioner):
    """jupyter_client's local one, but for where the process comes from (entry point `runbook-warm`)."""

    zygote: ClassVar[Zygote | None] = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Forks it; starts it cold where the process that forks has ended."""
        argv = cmd[cmd.index("ipykernel_launcher") + 1 :]
        cwd = str(kwargs.get("cwd") or Path.cwd())
        try:
            forked: Any = await asyncio.to_thread(_fork, self.zygote, argv, cwd, kwargs["env"])
        except OSError as error:
            log.warning("kernels start cold from here on: %s", error)
            WarmProvisioner.zygote = None
            return await super().launch_kernel(leashed([sys.executable, *cmd[1:]]), **kwargs)
        self.process = forked
        self.pid = self.pgid = forked.pid
        self.cwd = cwd
        return self.connection_info


def _fork(zygote: Zygote | None, argv: list[str], cwd: str, env: Mapping[str, str]) -> Forked:
    if zygote is None:
        raise ChildProcessError("the process that forks kernels has ended")
    return zygote.fork(argv, cwd=cwd, env=env)


def applies(argv: list[str]) -> bool:
    """Whether a kernel with this command can be forked: ipykernel, in this Python, while `kernels` is open."""
    ours = argv[0] in {sys.executable, "python", "python3"} and argv[1:3] == ["-m", "ipykernel_launcher"]
    return ours and WarmProvisioner.zygote is not None


@contextlib.contextmanager
def kernels() -> Iterator[None]:
    """While this is open, kernels are forked. To be opened in the main thread: the processes end with the thread."""
    if sys.platform != "linux" or WarmProvisioner.zygote is not None:
        yield
        return
    zygote = WarmProvisioner.zygote = Zygote()
    try:
        yield
    finally:
        WarmProvisioner.zygote = None
        zygote.close()
