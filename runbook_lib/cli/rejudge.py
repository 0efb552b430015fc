"""`runbook rejudge`: archived evidence under today's checks."""

import json

import click

from runbook_lib.cli._options import archive_option, json_option


@click.command()
@click.argument("incident")
@click.argument("run_id", required=False)
@archive_option
@json_option
def command(incident: str, run_id: str | None, place: str, *, as_json: bool) -> None:
    """Judges the evidence of RUN_ID (the latest run by default) again, and says what would be said otherwise today."""
    from runbook_lib.archive.store import Archive
    from runbook_lib.errors import ArchiveError
    from runbook_lib.rejudge import rejudge

    folder = Archive.there(place).incident(incident, must_exist=True)
    runs = [r for r in folder.runs() if (r.path / "findings.json").exists()]
    if not run_id and not runs:
        raise ArchiveError(f"incident {incident} has no run with findings")
    again = rejudge(folder.run(run_id) if run_id else runs[-1])
    if as_json:
        click.echo(json.dumps(again.record()))
        return
    click.echo(f"{again.run}: {again.hypotheses[0].confidence}: {again.hypotheses[0].title}")
    click.echo("\n".join(again.changed) or f"all {len(again.findings)} findings are as they were")
