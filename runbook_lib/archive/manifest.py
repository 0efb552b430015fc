"""The lock that a run holds while it is written, and the manifest that seals it."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from runbook_lib.archive import timeline, writer
from runbook_lib.archive.store import IncidentFolder, RunFolder, read_json, write_json
from runbook_lib.errors import ArchiveError, StateError
from runbook_lib.model import Json

MANIFEST = "manifest.json"
LOCK = "lock.json"
PACKAGES = ("runbook-lib", "papermill", "nbclient", "ipykernel")


def lock(run: RunFolder, *, notebook: str, pid: int | None = None) -> None:
    """Says who writes the run: this process, or `pid`."""
    started = datetime.now(UTC).isoformat()
    write_json(run.path / LOCK, {**writer.identity(pid), "notebook": notebook, "started": started}, new=True)


def state_of(run: RunFolder) -> str:
    """`running` while its writer lives, `killed` where the writer died without sealing it, else what the seal says.

    A writer on another machine is taken for alive: from here nobody can tell.
    """
    try:
        return str(read_json(run.path / MANIFEST).get("state") or "unreadable")
    except StateError:
        return "unreadable"
    except ArchiveError:
        return "running" if _writer_lives(run) else "killed"


def _writer_lives(run: RunFolder) -> bool:
    try:
        return writer.lives(read_json(run.path / LOCK)) is not False
    except ArchiveError:
        return False


def seal(
    run: RunFolder,
    *,
    state: str,
    cells: Sequence[Mapping[str, Json]],
    notebook: str,
    incident: str,
    profile: str,
    reason: str,
    started: str,
    ended: str,
    parameters: Mapping[str, Json],
) -> str:
    """Writes manifest.json over all files of the run, takes the lock away and returns the manifest's SHA-256.

    `cells` are records {id, state, seconds}; times are ISO 8601.
    """
    manifest = {
        "run": run.id,
        "notebook": notebook,
        "incident": incident,
        "profile": profile,
        "state": state,
        "reason": reason,
        "started": started,
        "ended": ended,
        "parameters": dict(parameters),
        "cells": [dict(cell) for cell in cells],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "files": {name: _fingerprint(path) for name, path in _files(run).items()},
    }
    write_json(run.path / MANIFEST, manifest, new=True)
    (run.path / LOCK).unlink(missing_ok=True)
    return _sha256(run.path / MANIFEST)


def _files(run: RunFolder) -> dict[str, Path]:
    """All files by their path inside the run, but the lock and the manifest themselves; links are not followed."""
    found = {}
    for folder, _, names in os.walk(run.path):
        for name in names:
            path = Path(folder) / name
            found[path.relative_to(run.path).as_posix()] = path
    return {name: found[name] for name in sorted(found) if name not in {LOCK, MANIFEST}}


def _fingerprint(path: Path) -> dict[str, Json]:
    return {"sha256": _sha256(path), "size": path.stat().st_size}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(run: RunFolder) -> list[str]:
    """What no longer is as it was sealed, one sentence each; empty when all is. A run that was never sealed says so.

    The manifest itself is held against the hash that the timeline remembers.
    """
    if not (run.path / MANIFEST).is_file():
        return [f"{run.id} is not sealed: its state is {state_of(run)}"]
    try:
        manifest = read_json(run.path / MANIFEST)
    except StateError as error:
        return [f"{run.id}: {error}"]
    sealed, present = manifest.get("files"), _files(run)
    if not isinstance(sealed, dict) or "state" not in manifest:
        return [f"{run.id}: {MANIFEST} is no manifest"]
    wrong = [f"{run.id}: {name} is missing" for name in sealed if name not in present]
    wrong += [f"{run.id}: {name} was added after the run was sealed" for name in present if name not in sealed]
    for name, path in present.items():
        if name in sealed and _fingerprint(path) != sealed[name]:
            wrong.append(f"{run.id}: {name} was changed after the run was sealed")
    remembered = _remembered(run)
    if remembered is None:
        wrong.append(f"{run.id} is sealed, but its end is not on the timeline: an event was taken away")
    elif remembered != _sha256(run.path / MANIFEST):
        wrong.append(f"{run.id}: {MANIFEST} was changed after the timeline took note of it")
    return sorted(wrong)


def _remembered(run: RunFolder) -> str | None:
    """The manifest's hash in the incident's timeline."""
    events = timeline.read(IncidentFolder(run.path.parent.parent))
    hashes = [e.data.get("manifest") for e in events if e.kind == "run_ended" and e.data.get("run") == run.id]
    return str(hashes[0]) if hashes else None


def missing(incident: IncidentFolder) -> list[str]:
    """Runs that the timeline tells of and that are not there any more."""
    present = {run.id for run in incident.runs()}
    told = dict.fromkeys(str(e.data.get("run")) for e in timeline.read(incident) if e.kind == "run_started")
    return [f"run {name} is gone, though the timeline tells of it" for name in told if name not in present]
