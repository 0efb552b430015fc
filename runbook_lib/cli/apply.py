"""`runbook apply INC PLAN`: carries out an approved plan, here, with the actor's login."""

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
    """Carries out PLAN if it is approved and still fits. Exits with 3 where it is refused, 1 where a call failed."""
    from runbook_lib import profile as profiles
    from runbook_lib.archive.store import Archive
    from runbook_lib.errors import RunbookError
    from runbook_lib.mitigations.apply import apply

    folder = Archive.there(place).incident(incident, must_exist=True)
    record = apply(folder, profiles.load(profile or profile_of(folder)), plan_id)
    lines = [f"{s['state']}: {s['call']} ({s['result']})" for s in record["steps"]]
    click.echo(json.dumps(record) if as_json else "\n".join(lines))
    failed = [s for s in record["steps"] if s["state"] == "failed"]
    if failed:
        done = sum(s["state"] == "done" for s in record["steps"])
        what = f"stopped at call {done + 1} of {len(record['steps'])}: {failed[0]['result']}"
        raise RunbookError(f"plan {plan_id} {what}; left: {failed[0]['left']}")
