"""One container as a process: its environment, its log with timestamps, its end."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from runbook_lib.sandbox.cluster.store import timestamp

LONGEST_LINE = 64 * 1024
KILLED = 137


@dataclass(slots=True, kw_only=True)
class Ended:
    """How a container's run ended, as `state.terminated` has it."""

    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    container_id: str

    def record(self) -> dict[str, object]:
        return {
            "exitCode": self.exit_code,
            "reason": self.reason,
            "startedAt": self.started_at,
            "finishedAt": self.finished_at,
            "containerID": self.container_id,
        }


class Running:
    """A started container; `out_of_memory` is set by whoever killed it for that."""

    def __init__(self, process: asyncio.subprocess.Process, number: int, log: Path) -> None:
        self.process = process
        self.container_id = f"process://{process.pid}-{number}"
        self.started_at = timestamp()
        self.started = asyncio.get_running_loop().time()
        self.out_of_memory = False
        self._copying = asyncio.create_task(_copy(process, log))

    async def wait(self) -> Ended:
        """Until it ends and all that it said is in its log."""
        code = await self.process.wait()
        self.signal(signal.SIGKILL)  # what it left behind in its session
        await self._copying
        code = 128 - code if code < 0 else code
        reason = "OOMKilled" if self.out_of_memory else "Error" if code else "Completed"
        return Ended(
            exit_code=KILLED if self.out_of_memory else code,
            reason=reason,
            started_at=self.started_at,
            finished_at=timestamp(),
            container_id=self.container_id,
        )

    def signal(self, number: int) -> None:
        """To the process and all that it started."""
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def usage(self) -> tuple[float, int]:
        """CPU seconds so far and bytes of memory now, of the process and its children."""
        seconds, memory = 0.0, 0
        try:
            parent = psutil.Process(self.process.pid)
            for process in (parent, *parent.children(recursive=True)):
                times = process.cpu_times()
                seconds += times.user + times.system
                memory += process.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        return seconds, memory


async def start(argv: list[str], environment: Mapping[str, str], folder: Path, log: Path, number: int) -> Running:
    """Raises OSError where there is no such program. The log of the run before is kept as `.previous.log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(".previous.log"))
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
        limit=LONGEST_LINE,
    )
    return Running(process, number, log)


async def _copy(process: asyncio.subprocess.Process, log: Path) -> None:
    """Each line with the moment at which it came; a line that never ends is cut."""
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    with log.open("ab", buffering=0) as file:
        while True:
            try:
                line = await process.stdout.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                line = end.partial
                if not line:
                    return
            except asyncio.LimitOverrunError as long:
                line = await process.stdout.readexactly(long.consumed)
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode()
            file.write(now + line.rstrip(b"\n") + b"\n")
