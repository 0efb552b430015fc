"""What one drill is: `parameters/drills/<name>.yaml`."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from runbook_lib import sandbox, workspace
from runbook_lib.errors import ParameterError
from runbook_lib.profile import Strict
from runbook_lib.text import nearest

ESCALATE = "escalate"
NOTHING = "none"


class Drill(Strict):
    """`cause` must come first, its `subject` must agree with the truth in these keys.

    `unnoticed_seconds` pass between the fault and the first look, as they would before an alert fires.
    `mitigation` is the kind of plan that must help, `escalate` where none fits, `none` where nothing is wrong.
    """

    name: str = ""
    fault: str
    notebook: str
    cause: str
    subject: tuple[str, ...] = ()
    mitigation: str
    unnoticed_seconds: float = 6.0
    hold_seconds: float = 8.0


def load(name: str) -> Drill:
    """Raises ParameterError: which file, which key."""
    path = workspace.drill_file(name)
    try:
        drill = Drill.model_validate({**(yaml.safe_load(path.read_text("utf-8")) or {}), "name": name})
    except (ValidationError, yaml.YAMLError) as error:
        raise ParameterError(f"{path}: {_first_line(error)}") from error
    if drill.fault not in sandbox.faults():
        raise ParameterError(f"{path}: no fault {drill.fault!r}{nearest(drill.fault, sandbox.faults())}")
    workspace.notebook(drill.notebook)
    return drill


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())


def names() -> list[str]:
    folder: Path = workspace.root() / "parameters" / "drills"
    return [p.stem for p in sorted(folder.glob("*.yaml"))]
