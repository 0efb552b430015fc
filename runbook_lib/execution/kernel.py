"""A kernel of our own: IPC sockets in a short private folder, and it never outlives us."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from runbook_lib.errors import RunFailedError, UsageError
from runbook_lib.execution import warm
from runbook_lib.execution.leash import leashed

LONGEST_SOCKET_FOLDER = 70
"""A Unix socket's path ends at 104 bytes (macOS) or 108 (Linux), the file names take the rest."""

LONGEST_EXIT = 20.0
"""Seconds for what a kernel does at its exit (a report, a seal) on a slow machine; who is quicker is not waited for."""

OnOutput = Callable[[int, NotebookNode], object]


class Client(NotebookClient):
    """nbclient's, telling of each output as it comes."""

    on_output: OnOutput | None = None

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        if output is not None and self.on_output is not None:
            self.on_output(cell_index, output)
        return output


class Kernel:
    """One kernel process with its private folder, from `start` to `stop`; `stop` is due whatever `start` did."""

    def __init__(self, name: str) -> None:
        """Raises UsageError where no such kernel is installed."""
        require(name)
        self.folder = _short_folder()
        self.manager: Any = AsyncKernelManager(
            kernel_name=name,
            transport="ipc",
            ip=str(self.folder / "k"),
            connection_file=str(self.folder / "c.json"),
            shutdown_wait_time=LONGEST_EXIT,
        )
        spec: Any = self.manager.kernel_spec
        if warm.applies(spec.argv):
            spec.metadata["kernel_provisioner"] = {"provisioner_name": warm.PROVISIONER}
        elif sys.platform == "linux":
            spec.argv = leashed(_absolute(spec.argv))

    def client(self, notebook: NotebookNode, on_output: OnOutput | None) -> Client:
        # The time-outs are the conductor's. Outputs that lag on a busy machine are worth waiting for: without
        # raise_on_iopub_timeout they would be lost silently.
        client = Client(notebook, km=self.manager, timeout=None, iopub_timeout=60, raise_on_iopub_timeout=True)
        client.on_output = on_output
        return client

    async def start(self, client: Client, *, cwd: Path | None, env: Mapping[str, str] | None, seconds: float) -> None:
        """Starts it and waits until it answers. Raises RunFailedError."""
        # What is written to the file descriptors comes back as stream outputs; copies on our own stdout would break
        # --json, and would not be redacted.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        where = {"cwd": str(cwd)} if cwd else {}
        try:
            await client.async_start_new_kernel(env=dict(os.environ if env is None else env), **where, **quiet)
            channels: Any = self.manager.client()
            client.kc = channels
            channels.start_channels()
            await channels.wait_for_ready(timeout=seconds)
        except (RuntimeError, OSError) as error:
            raise RunFailedError(f"the kernel did not start: {error}") from error
        channels.allow_stdin = False
        info = await client.async_wait_for_reply(channels.kernel_info())
        if info is not None:
            client.nb.metadata["language_info"] = info["content"]["language_info"]

    async def death(self) -> str:
        """How it ended, for a person."""
        provisioner = self.manager.provisioner
        status = await provisioner.poll() if provisioner is not None else None
        if status is None or status >= 0:
            return "the kernel died" if status is None else f"the kernel died (exit status {status})"
        hint = ", as when memory runs out" if -status == signal.SIGKILL else ""
        return f"the kernel died ({signal.Signals(-status).name}{hint})"

    async def stop(self, client: Client, *, now: bool) -> None:
        """Ends it, its children and its sockets; `now` kills."""
        try:
            if client.kc is not None:
                client.kc.stop_channels()
                client.kc = None
            await self.manager.shutdown_kernel(now=now)
        finally:
            self._clear()

    def _clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def require(name: str) -> None:
    """Raises UsageError where no such kernel is installed."""
    try:
        KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel as error:
        raise UsageError(f"the notebook wants the kernel {name!r}, which is not installed here") from error


def _short_folder() -> Path:
    place = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="rb", dir=place if len(place) <= LONGEST_SOCKET_FOLDER else "/tmp"))  # noqa: S108 - mkdtemp makes a private folder in it


def _absolute(argv: list[str]) -> list[str]:
    # jupyter_client puts the running interpreter in the place of a bare `python` at the front only.
    bare = {"python", f"python{sys.version_info.major}", f"python{sys.version_info.major}.{sys.version_info.minor}"}
    return [sys.executable if argv[0] in bare else argv[0], *argv[1:]]
