"""`runbook archive`: what incidents left behind, and whether it is as it was written."""

import json

import click

from runbook_lib.cli._options import archive_option, json_option


@click.group()
def command() -> None:
    """Looks at the archive of incidents."""


@command.command()
@click.argument("incident")
@archive_option
@json_option
def verify(incident: str, place: str, *, as_json: bool) -> None:
    """Checks the chain of the timeline and the manifest of every run. Exits with 1 where something was changed."""
    from runbook_lib.archive import manifest, timeline
    from runbook_lib.archive.store import Archive

    folder = Archive.at(place).incident(incident, must_exist=True)
    wrong = [*timeline.verify(folder)]
    for run in folder.runs():
        wrong += manifest.verify(run)
    if as_json:
        click.echo(json.dumps({"incident": folder.id, "whole": not wrong, "wrong": wrong}))
    else:
        click.echo(
            "\n".join(wrong) or f"{folder.id}: {len(folder.runs())} runs and the timeline are as they were written"
        )
    if wrong:
        raise SystemExit(1)


@command.command()
@click.argument("incident")
@archive_option
@json_option
def runs(incident: str, place: str, *, as_json: bool) -> None:
    """Lists the runs of an incident with their states."""
    from runbook_lib.archive import manifest
    from runbook_lib.archive.store import Archive

    folder = Archive.at(place).incident(incident, must_exist=True)
    found = [{"run": run.id, "state": manifest.state_of(run), "folder": str(run.path)} for run in folder.runs()]
    click.echo(json.dumps({"runs": found}) if as_json else "\n".join(f"{r['state']:12} {r['folder']}" for r in found))
