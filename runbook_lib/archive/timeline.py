"""The timeline: one immutable file an event, each naming the hash of the latest ones that its writer saw.

Many writers need no lock: names never clash, and the merge on reading orders by time, then id. An event that was
changed no longer has the hash that a later one names; one that was removed is missed by name.
"""

import getpass
import hashlib
import json
import os
import secrets as random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from runbook_lib.archive.store import IncidentFolder, write_atomic
from runbook_lib.errors import StateError
from runbook_lib.model import Json
from runbook_lib.secrets import redactor
from runbook_lib.window import now, stamp

LATEST = 64
"""How far back a writer looks for events that nobody named: more writers than that at one moment lose only links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`kind` is a word of the incident's life (declared, finding, applied, ...), `data` what belongs to it."""

    id: str
    at: datetime
    kind: str
    text: str
    actor: str
    data: Mapping[str, Json] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)


def whoami() -> str:
    """Who writes: the account and the machine. A label, not a proof; approvals carry a signature."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container's uid without an entry in passwd
        account = f"uid-{os.getuid()}"
    return f"{account}@{socket.gethostname()}"


def append(
    incident: IncidentFolder, kind: str, text: str, *, data: Mapping[str, Json] | None = None, actor: str | None = None
) -> Event:
    """Writes an event; it is on disk when this returns."""
    folder = incident.path / "timeline"
    folder.mkdir(parents=True, exist_ok=True)
    at = now()
    event = Event(
        id=f"{stamp(at)}-{random.token_hex(4)}",
        at=at,
        kind=kind,
        text=redactor.redact(text),
        actor=actor or whoami(),
        data=redactor.clean(dict(data or {})),
        seen=_heads(folder),
    )
    write_atomic(folder / f"{event.id}.json", json.dumps(_record(event), indent=1) + "\n", new=True)
    return event


def _record(event: Event) -> dict[str, Json]:
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "text": event.text,
        "actor": event.actor,
        "data": dict(event.data),
        "seen": dict(event.seen),
    }


def _names(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.json") if not p.name.startswith("."))


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _heads(folder: Path) -> dict[str, str]:
    """The latest events that no other one names yet, with their hashes; usually one."""
    latest = _names(folder)[-LATEST:]
    named = {name for path in latest for name in _seen_by(path)}
    return {path.stem: _hash(path) for path in latest if path.stem not in named}


def _seen_by(path: Path) -> Mapping[str, str]:
    """Nothing for a torn event: it must not keep anyone from writing the next one."""
    try:
        return _load(path).seen
    except StateError:
        return {}


def _load(path: Path) -> Event:
    try:
        raw = json.loads(path.read_text("utf-8"))
        return Event(**{**raw, "at": datetime.fromisoformat(raw["at"])})
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StateError(f"{path} is no event: {error}") from error


def read(incident: IncidentFolder) -> list[Event]:
    """All events in the order of time; one that cannot be read is of the kind `unreadable` and says why."""
    return sorted((_readable(p) for p in _names(incident.path / "timeline")), key=lambda e: (e.at, e.id))


def _readable(path: Path) -> Event:
    try:
        return _load(path)
    except StateError as error:
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Event(id=path.stem, at=at, kind="unreadable", text=str(error), actor="")


def verify(incident: IncidentFolder) -> list[str]:
    """What is wrong with the chain, one sentence each; empty when it holds."""
    folder = incident.path / "timeline"
    wrong = []
    for path in _names(folder):
        if _readable(path).kind == "unreadable":
            wrong.append(_readable(path).text)
        for name, digest in _seen_by(path).items():
            before = folder / f"{name}.json"
            if not before.is_file():
                wrong.append(f"timeline event {name} is gone, though {path.stem} saw it")
            elif _hash(before) != digest:
                wrong.append(f"timeline event {name} was changed after {path.stem} saw it")
    return sorted(set(wrong))
