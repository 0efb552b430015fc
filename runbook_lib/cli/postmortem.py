"""`runbook postmortem`: from the archive to something that a team can meet over."""

import json

import click

from runbook_lib.archive.store import Archive
from runbook_lib.cli._options import archive_option, json_option
from runbook_lib.reports import post_mortem


@click.command(name="postmortem")
@click.argument("incident")
@archive_option
@json_option
def command(*, incident: str, place: str, as_json: bool) -> None:
    """Write post_mortem.md and .html of INCIDENT; what people wrote between its markers stays."""
    folder = Archive.there(place).incident(incident, must_exist=True)
    written = post_mortem.write(folder)
    if as_json:
        paths = {"markdown": str(written.markdown), "html": str(written.html)}
        click.echo(json.dumps({"incident": folder.id, **paths}))
    else:
        click.echo(f"Post-mortem of {folder.id}:\n  {written.markdown}\n  {written.html}")
