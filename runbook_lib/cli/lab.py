"""`runbook lab INC`: JupyterLab on a copy of the notebooks, kept with the incident."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook_lib.cli._options import archive_option, profile_of

if TYPE_CHECKING:
    from runbook_lib.archive.store import Archive


@click.command()
@click.argument("incident")
@archive_option
def command(incident: str, place: str) -> None:
    """Opens JupyterLab on copies of the notebooks inside INCIDENT's folder; what you saved there before stays."""
    from runbook_lib import workspace
    from runbook_lib.archive.store import Archive

    archive = Archive.there(place)
    folder = archive.incident(incident, must_exist=True).path / "lab"
    folder.mkdir(exist_ok=True)
    for path in workspace.notebooks().values():
        if not (folder / path.name).exists():
            _copy(path, folder / path.name, archive, incident)
    environment = {**os.environ, "RUNBOOK_ARCHIVE": str(archive.root), "RUNBOOK_WORKSPACE": str(workspace.root())}
    jupyter = Path(sys.executable).with_name("jupyter")
    os.execve(jupyter, [str(jupyter), "lab", str(folder)], environment)  # noqa: S606 - it replaces this process


def _copy(source: Path, copy: Path, archive: "Archive", incident: str) -> None:
    """With the incident's parameters injected as papermill does: a copy knows whom it is about."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    from runbook_lib.archive.store import write_atomic
    from runbook_lib.execution import form
    from runbook_lib.execution.parameters import declared, load_notebook

    ours = {
        "profile": profile_of(archive.incident(incident)),
        "incident": incident,
        "archive": str(archive.root),
    }
    known = declared(load_notebook(source))
    given = {name: value for name, value in ours.items() if name in known}
    notebook = parameterize_notebook(load_notebook_node(str(source)), given, kernel_name="python3", language="python")
    write_atomic(copy, form.written(notebook))
