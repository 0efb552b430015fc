"""`runbook undo INC PLAN`: takes back what an applied plan changed."""

import json

import click

from runbook_lib.cli._options import archive_option, json_option, profile_of


@click.command()
@click.argument("incident")
@click.argument("plan_id", metavar="PLAN")
@click.option("--profile", help="the platform; the incident's own by default")
@archive_option
@json_option
def command(incident: str, plan_id: str, profile: str | None, place: str, *, as_json: bool) -> None:
    """Takes back what PLAN changed, from the archive alone. Exits with 3 where that cannot be done."""
    from runbook_lib import profile as profiles
    from runbook_lib.archive.store import Archive
    from runbook_lib.errors import RunbookError
    from runbook_lib.mitigations.undo import undo

    folder = Archive.there(place).incident(incident, must_exist=True)
    record = undo(folder, profiles.load(profile or profile_of(folder)), plan_id)
    lines = [f"{s['state']}: {s['call']} ({s['result']})" for s in record["steps"]]
    click.echo(json.dumps(record) if as_json else "\n".join(lines))
    if not record["ok"]:
        raise RunbookError(f"the undo of plan {plan_id} failed: {record['steps'][-1]['result']}")
