"""`runbook lab INC`: JupyterLab on a copy of the notebooks, kept with the incident."""

import os
import shutil
import sys
from pathlib import Path

import click

from runbook_lib.cli._options import archive_option


@click.command()
@click.argument("incident")
@archive_option
def command(incident: str, place: str) -> None:
    """Opens JupyterLab on copies of the notebooks inside INCIDENT's folder; what you saved there before stays."""
    from runbook_lib import workspace
    from runbook_lib.archive.store import Archive

    archive = Archive.at(place)
    folder = archive.incident(incident, must_exist=True).path / "lab"
    folder.mkdir(exist_ok=True)
    for path in workspace.notebooks().values():
        if not (folder / path.name).exists():
            shutil.copy(path, folder / path.name)
    environment = {**os.environ, "RUNBOOK_ARCHIVE": str(archive.root), "RUNBOOK_WORKSPACE": str(workspace.root())}
    jupyter = Path(sys.executable).with_name("jupyter")
    os.execve(jupyter, [str(jupyter), "lab", str(folder)], environment)  # noqa: S606 - it replaces this process
