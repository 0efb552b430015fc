"""The state folder: whose it is, whether it lives, and when it may be deleted."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import psutil

from runbook_lib.errors import SandboxError, UsageError

MARKER = "sandbox.json"
KIND = "runbook sandbox"


def me() -> dict[str, Any]:
    """This process, so that it can be told from a later one with the same pid."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def alive(record: dict[str, Any]) -> bool:
    """Whether the very process of the record still runs."""
    try:
        process = psutil.Process(record["pid"])
        # Clock adjustments move the computed start time a little.
        return abs(process.create_time() - record["created"]) < 5 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def read(state: Path) -> dict[str, Any] | None:
    """The folder's record, or None where no sandbox ever was."""
    try:
        record = json.loads((state / MARKER).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UsageError(f"{state / MARKER} is not a sandbox record: {error}") from error
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise UsageError(f"{state / MARKER} is not a sandbox record; choose another --state")
    return record


def write(state: Path, record: dict[str, Any]) -> None:
    temporary = state / f".{MARKER}.{os.getpid()}"
    temporary.write_text(json.dumps(record))
    temporary.replace(state / MARKER)


def claim(state: Path, seed: int) -> None:
    """Makes the folder ours: new, empty, or left behind by a dead sandbox.

    Raises:
        SandboxError: a sandbox lives there.
        UsageError: it holds something else; nothing is deleted.
    """
    record = read(state)
    if record is not None:
        if alive(record):
            raise SandboxError(f"a sandbox is up in {state} (pid {record['pid']}); `runbook sandbox down` ends it")
        remove(state)
    if state.exists() and (not state.is_dir() or any(state.iterdir())):
        raise UsageError(f"{state} is not empty and not a sandbox; choose another --state")
    try:
        state.mkdir(parents=True, exist_ok=True)
        with (state / MARKER).open("x") as marker:
            json.dump({"kind": KIND, "phase": "starting", "seed": seed, **me()}, marker)
    except FileExistsError as error:
        raise SandboxError(f"another `sandbox up` has just taken {state}") from error
    except OSError as error:
        raise UsageError(f"{state} cannot be used: {error.strerror}") from error


def remove(state: Path) -> None:
    """Deletes a state folder, and only that."""
    if read(state) is not None:
        shutil.rmtree(state, ignore_errors=True)


def load_records(state: Path, since: float) -> list[dict[str, Any]]:
    """What the load generator wrote, second by second, after a moment (epoch seconds)."""
    path = state / "logs" / "load.jsonl"
    if not path.exists():
        return []
    with path.open("rb") as log:
        begin = max(0, path.stat().st_size - 4096)
        log.seek(begin)
        # The last line may be half written, and the first half read.
        lines = log.read().split(b"\n")[1 if begin else 0 : -1]
    after = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since)) + f".{int(since % 1 * 1000):03d}Z"
    records = map(json.loads, lines)
    return [record for record in records if record["message"] == "second" and record["time"] > after]
