"""Where notebooks and parameters are: the team's own folder, else the copy that the package carries."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from runbook_lib.errors import ParameterError, UsageError
from runbook_lib.text import nearest

PACKAGED = Path(__file__).parent / "_workspace"


def is_workspace(folder: Path) -> bool:
    return (folder / "notebooks").is_dir() and (folder / "parameters" / "profiles").is_dir()


def root() -> Path:
    """RUNBOOK_WORKSPACE, else the nearest folder upwards with notebooks/ and parameters/, else the packaged one."""
    named = os.environ.get("RUNBOOK_WORKSPACE")
    if named:
        folder = Path(named).expanduser().absolute()
        if not is_workspace(folder):
            raise UsageError(f"RUNBOOK_WORKSPACE={named} holds no notebooks/ and parameters/profiles/")
        return folder
    here = Path.cwd()
    for folder in (here, *here.parents):
        if is_workspace(folder):
            return folder
    return packaged()


def packaged() -> Path:
    """The notebooks and parameters that came with this package: in its wheel, or beside it in a checkout."""
    checkout = Path(__file__).parent.parent
    return checkout if is_workspace(checkout) else PACKAGED


def default_archive() -> str:
    """Where evidence goes when nobody says: RUNBOOK_ARCHIVE, else `archive` in the present folder."""
    return os.environ.get("RUNBOOK_ARCHIVE") or "archive"


def notebooks() -> dict[str, Path]:
    return {p.stem: p for p in sorted((root() / "notebooks").glob("*.ipynb"))}


def notebook(name: str) -> Path:
    """A notebook by name, or by path. Raises UsageError with the nearest name."""
    if name.endswith(".ipynb"):
        path = Path(name).expanduser().absolute()
        if path.is_file():
            return path
        raise UsageError(f"notebook {path} is not there")
    known = notebooks()
    if name not in known:
        raise UsageError(f"there is no notebook {name!r} in {root() / 'notebooks'}{nearest(name, known)}")
    return known[name]


def notebooks_about(causes: Iterable[str]) -> list[str]:
    """The notebooks whose metadata (`runbook.causes`) name one of these causes, in the order of the causes."""
    about = {}
    for name, path in notebooks().items():
        try:
            metadata = json.loads(path.read_text("utf-8")).get("metadata", {})
        except ValueError:  # half-written by somebody else now: it is left out of "Related", nothing more
            continue
        about[name] = metadata.get("runbook", {}).get("causes", [])
    return list(dict.fromkeys(name for cause in causes for name, known in about.items() if cause in known))


def parameters_file(name: str) -> Path | None:
    """`parameters/<notebook>.yaml`, where there is one."""
    path = root() / "parameters" / f"{name}.yaml"
    return path if path.is_file() else None


def drill_file(name: str) -> Path:
    """Raises ParameterError with the nearest name."""
    folder = root() / "parameters" / "drills"
    known = {p.stem: p for p in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise ParameterError(f"there is no drill {name!r} in {folder}{nearest(name, known)}")
    return known[name]
