"""What a person or a drill says to a sandbox."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox import folder
from runbook_lib.sandbox.faults import load
from runbook_lib.sandbox.names import names
from runbook_lib.sandbox.values import SIMULATED, Fault, Service, Status

SOURCE = Path(__file__).parents[2]
UP_SECONDS = 120
ORDER_SECONDS = 90
DOWN_SECONDS = 20
Progress = Callable[[str], None]
# Supervisors that this process started. While it keeps the stdin of one, that one lives and dies with it.
_started: dict[Path, "subprocess.Popen[bytes]"] = {}


def up(state: Path, *, seed: int = 0, owner: bool = False, progress: Progress | None = None) -> Status:
    """Brings a sandbox up in a new, empty or stale state folder; returns once its shop serves customers.

    With `owner` it ends with this process, even if that is SIGKILLed; otherwise it stays until `down`.

    Raises:
        SandboxError: one is up there already, or it does not come up; then nothing is left behind.
        UsageError: the folder holds something else.
    """
    state = state.absolute()
    folder.claim(state, seed)
    with (state / "supervisor.log").open("w+b") as log:
        supervisor = _spawn(state, seed, log)
        _started[state] = supervisor
        ready = False
        try:
            assert supervisor.stdout is not None  # noqa: S101 - it was opened as a pipe
            _result(_lines(supervisor.stdout.fileno(), UP_SECONDS), progress, log)
            ready = True
        finally:
            if not ready:
                _end(state)
    supervisor.stdout.close()
    if not owner:
        assert supervisor.stdin is not None  # noqa: S101 - it was opened as a pipe
        supervisor.stdin.write(b"detach\n")
        supervisor.stdin.close()
    return status(state)


def status(state: Path) -> Status:
    """The sandbox in this folder, also while it is starting or busy.

    Raises:
        SandboxError: there is none.
    """
    state = state.absolute()
    record = _record(state)
    phase = record["phase"] if folder.alive(record) else "dead"
    services = tuple(
        Service(name=name, simulated=SIMULATED.get(name), running=phase != "dead" and _runs(entry["pid"]), **entry)
        for name, entry in record.get("services", {}).items()
    )
    return Status(
        state=state,
        phase=phase,
        seed=record["seed"],
        pid=record["pid"],
        since=record.get("since", ""),
        names=asdict(names(record["seed"])),
        services=services,
        fault=Fault(**record["fault"]) if record.get("fault") else None,
        load=next(reversed(folder.load_records(state, 0)), None) if phase != "dead" else None,
    )


def break_fault(state: Path, name: str, *, seed: int | None = None, progress: Progress | None = None) -> Fault:
    """Breaks the sandbox for real; returns the truth about it once the effect is there. `seed`: the sandbox's own.

    Raises:
        UsageError: no such fault.
        SandboxError: another fault is on, the effect did not come, or no sandbox is up.
    """
    load(name)
    return Fault(**_order(state, {"do": "break", "fault": name, "seed": seed}, progress))


def heal(state: Path, *, progress: Progress | None = None) -> Status:
    """Undoes whatever is broken or left over; returns once the shop is healthy. Harmless when nothing is.

    Raises:
        SandboxError: it does not get healthy, or no sandbox is up.
    """
    _order(state, {"do": "heal"}, progress)
    return status(state)


def down(state: Path) -> None:
    """Ends the sandbox and deletes its folder; what is stale is deleted, and nothing there is fine.

    Raises:
        UsageError: the folder holds something else, which stays as it is.
        SandboxError: it does not end.
    """
    state = state.absolute()
    if state.exists() and folder.read(state) is None and (not state.is_dir() or any(state.iterdir())):
        raise UsageError(f"{state} is no sandbox: it was left as it is")
    _end(state)


def keep(state: Path, process: "subprocess.Popen[bytes]") -> None:
    """Remembers the process that holds a state folder, so that `down` waits for it as its parent."""
    _started[state] = process


def _spawn(state: Path, seed: int, log: BinaryIO) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "runbook_lib.sandbox.supervisor", str(state), str(seed)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=SOURCE, start_new_session=True
    )


def _end(state: Path) -> None:
    record = folder.read(state)
    supervisor = _started.pop(state, None)
    if supervisor is not None:
        for pipe in (supervisor.stdin, supervisor.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr] # both were opened as pipes
        supervisor.terminate()
        with suppress(subprocess.TimeoutExpired):
            supervisor.wait(DOWN_SECONDS)
    elif record is not None and folder.alive(record):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(record["pid"]).terminate()
    _await_end(state, record)
    folder.remove(state)


def _await_end(state: Path, record: dict[str, Any] | None) -> None:
    deadline = time.monotonic() + DOWN_SECONDS
    while record is not None and record["pid"] != os.getpid() and folder.alive(record):
        if time.monotonic() > deadline:
            raise SandboxError(f"the sandbox in {state} (pid {record['pid']}) does not end")
        time.sleep(0.02)


def _record(state: Path) -> dict[str, Any]:
    record = folder.read(state)
    if record is None:
        raise SandboxError(f"no sandbox in {state}; `runbook sandbox up --state {state}` makes one")
    return record


def _order(state: Path, order: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
    record = _record(state.absolute())
    if not folder.alive(record) or record["phase"] != "up":
        raise SandboxError(f"the sandbox in {state} is not up")
    if "port" not in record:
        raise SandboxError(f"{state} serves a snapshot: there is nothing in it to break or heal")
    token = (state / "token").read_text()
    try:
        with socket.create_connection(("127.0.0.1", record["port"]), timeout=5) as connection:
            connection.sendall(json.dumps(order | {"token": token}).encode() + b"\n")
            return _result(_lines(connection.fileno(), ORDER_SECONDS), progress)
    except OSError as error:
        raise SandboxError(f"the sandbox in {state} does not answer: {error}") from error


def _lines(descriptor: int, seconds: float) -> Iterator[bytes]:
    """Lines as they come, until the other side ends or the deadline passes."""
    deadline, rest = time.monotonic() + seconds, b""
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(descriptor, 65_536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    raise SandboxError(f"the sandbox did not finish within {seconds:.0f} s")


def _result(lines: Iterable[bytes], progress: Progress | None, log: BinaryIO | None = None) -> dict[str, Any]:
    for line in lines:
        message = json.loads(line)
        if "error" in message:
            raise SandboxError(message["error"])
        if "result" in message:
            result: dict[str, Any] = message["result"]
            return result
        if progress is not None:
            progress(message["progress"])
    raise SandboxError(f"the sandbox's supervisor ended unexpectedly{_last_words(log)}")


def _last_words(log: BinaryIO | None) -> str:
    """The last line of the supervisor's log, which may be deleted already."""
    if log is None:
        return ""
    log.seek(0)
    return ": " + " ".join(log.read().decode(errors="replace").splitlines()[-1:])


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
