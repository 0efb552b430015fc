"""The archive as a folder: incidents, their runs and plans. Files are the truth."""

import errno
import functools
import json
import os
import re
import secrets as random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runbook_lib.archive import codec
from runbook_lib.errors import ArchiveError, StateError
from runbook_lib.model import Evidence, Json
from runbook_lib.secrets import redactor
from runbook_lib.window import now, stamp

INCIDENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,63}")


def new_id(prefix: str) -> str:
    """A short id that sorts by time: `inc-20261121-035001-9f3a`."""
    return f"{prefix}-{now():%Y%m%d-%H%M%S}-{random.token_hex(2)}"


def write_atomic(path: Path, text: str, *, new: bool = False) -> None:
    """Writes all or nothing; with `new`, raises FileExistsError rather than replace."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(handle, 0o666 & ~_umask())  # an archive is shared: mkstemp's 0600 would keep colleagues out
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if new:
            Path(path).hardlink_to(name)
        else:
            Path(name).replace(path)
        _sync_folder(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


@functools.cache
def _umask() -> int:
    """Read by setting it, which is the only way; once, early, so that no other thread's file is made meanwhile."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """The new name is on disk, too, not only the content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Mapping[str, Json], *, new: bool = False) -> None:
    """Redacted, indented, atomic."""
    write_atomic(path, json.dumps(redactor.clean(dict(value)), indent=2, ensure_ascii=False) + "\n", new=new)


def read_json(path: Path) -> dict[str, Json]:
    """Raises StateError where the file is there but torn, ArchiveError where it is not."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ArchiveError(f"{path} is not there") from error
    except (ValueError, OSError, RecursionError) as error:
        raise StateError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise StateError(f"{path} holds no JSON object")
    return value


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`<archive>/<incident>/runs/<utc>-<notebook>-<id>/`: evidence.jsonl, findings.json, notebook.ipynb, ..."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    def append_evidence(self, evidence: Evidence) -> None:
        """One whole line, on disk when this returns; several writers do not mix (O_APPEND, one write)."""
        line = (codec.encode(evidence) + "\n").encode()
        descriptor = os.open(self.path / "evidence.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "only a part of the evidence could be written", str(self.path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def evidence(self) -> Iterator[Evidence]:
        """All whole lines; a last line that a crash cut off is left out."""
        path = self.path / "evidence.jsonl"
        if not path.exists():
            return
        try:
            for line in path.read_text("utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    yield codec.decode(line)
        except (ValueError, OSError) as error:
            raise StateError(f"{path} cannot be read: {error}") from error

    def write_findings(self, findings: Mapping[str, Json]) -> None:
        write_json(self.path / "findings.json", findings)

    def findings(self) -> dict[str, Json]:
        return read_json(self.path / "findings.json")


@dataclass(frozen=True, slots=True)
class IncidentFolder:
    """`<archive>/<incident>/`."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    def new_run(self, notebook: str) -> RunFolder:
        path = self.path / "runs" / f"{stamp(now())}-{notebook}-{random.token_hex(2)}"
        path.mkdir(parents=True)
        return RunFolder(path)

    def runs(self) -> list[RunFolder]:
        folder = self.path / "runs"
        return [RunFolder(p) for p in sorted(folder.iterdir()) if p.is_dir()] if folder.is_dir() else []

    def run(self, run_id: str) -> RunFolder:
        for run in self.runs():
            if run.id == run_id:
                return run
        raise ArchiveError(f"{self.id} has no run {run_id}: see {self.path / 'runs'}")


@dataclass(frozen=True, slots=True)
class Archive:
    """A folder of incidents."""

    root: Path

    @classmethod
    def at(cls, place: str | Path) -> "Archive":
        """Opens or makes the folder. Raises ArchiveError where it cannot be written."""
        root = Path(place).expanduser().absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass
        except OSError as error:
            raise ArchiveError(
                f"archive {root} cannot be written: {error.strerror}; name another with --archive"
            ) from error
        return cls(root)

    @classmethod
    def there(cls, place: str | Path) -> "Archive":
        """Opens a folder to read it. Raises ArchiveError where there is none: a mistyped place is not made."""
        root = Path(place).expanduser().absolute()
        if not root.is_dir():
            raise ArchiveError(f"there is no archive {root}; name it with --archive")
        return cls(root)

    def incident(self, incident: str, *, must_exist: bool = False) -> IncidentFolder:
        """Raises ArchiveError for a name that is no incident id, or, with `must_exist`, for one that is not there."""
        if not INCIDENT_ID.fullmatch(incident):
            raise ArchiveError(f"{incident!r} is no incident id: letters, digits, - and _, at most 64")
        folder = IncidentFolder(self.root / incident)
        if must_exist and not folder.path.is_dir():
            raise ArchiveError(f"incident {incident} is not in {self.root}")
        folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    def incidents(self) -> list[IncidentFolder]:
        return [IncidentFolder(p) for p in sorted(self.root.iterdir()) if (p / "timeline").is_dir()]
