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
    """Checks the timeline's chain, every run and every plan. Exits with 1 where anything was changed."""
    from runbook_lib.archive import manifest, timeline
    from runbook_lib.archive.store import Archive
    from runbook_lib.mitigations import plan as plans

    folder = Archive.there(place).incident(incident, must_exist=True)
    wrong = [*timeline.verify(folder)]
    for run in folder.runs():
        wrong += manifest.verify(run)
    wrong += [*manifest.missing(folder), *plans.verify(folder)]
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

    folder = Archive.there(place).incident(incident, must_exist=True)
    found = [{"run": run.id, "state": manifest.state_of(run), "folder": str(run.path)} for run in folder.runs()]
    click.echo(json.dumps({"runs": found}) if as_json else "\n".join(f"{r['state']:12} {r['folder']}" for r in found))
