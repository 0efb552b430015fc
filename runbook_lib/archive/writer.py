"""Who writes a record: a process, told from a later one with the same pid by its start and the machine's boot."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from runbook_lib.model import Json

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SAME_MOMENT = 1.0
"""Seconds by which two readings of one process's start may differ (some systems derive it from the wall clock)."""


def identity(pid: int | None = None) -> dict[str, Json]:
    """Of this process, or of `pid`: {pid, process_started, boot, host}."""
    process = psutil.Process(pid or os.getpid())
    return {
        "pid": process.pid,
        "process_started": process.create_time(),
        "boot": _boot(),
        "host": socket.gethostname(),
    }


def lives(writer: Mapping[str, Json]) -> bool | None:
    """Whether that process still runs; None where it is on another machine: from here nobody can tell."""
    if writer["host"] != socket.gethostname():
        return None
    if writer["boot"] != _boot():
        return False
    try:
        process = psutil.Process(int(writer["pid"]))
        started, status = process.create_time(), process.status()
    except psutil.NoSuchProcess:
        return False
    return bool(abs(started - float(writer["process_started"])) < SAME_MOMENT and status != psutil.STATUS_ZOMBIE)


def _boot() -> str:
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"
