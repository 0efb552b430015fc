"""`runbook approve INC PLAN`: a person signs a plan."""

import json

import click

from runbook_lib.cli._options import archive_option, json_option


@click.command()
@click.argument("incident")
@click.argument("plan_id", metavar="PLAN")
@click.option("--target", help="the target's name, typed; asked for where it is not given")
@click.option("--yes", is_flag=True, help="do not ask for the target's name")
@archive_option
@json_option
def command(incident: str, plan_id: str, target: str | None, place: str, *, yes: bool, as_json: bool) -> None:
    """Shows PLAN, asks for its target's name, and signs it with your key. Changes nothing yet."""
    from runbook_lib.archive.store import Archive
    from runbook_lib.errors import PlanRefusedError
    from runbook_lib.mitigations import face
    from runbook_lib.mitigations import plan as plans
    from runbook_lib.mitigations.approval import approve

    folder = Archive.there(place).incident(incident, must_exist=True)
    plan = plans.load(folder, plan_id)
    click.echo(face.text(plan), err=True)
    typed = plan.source if yes else target or _typed(plan.source)
    if typed != plan.source:
        raise PlanRefusedError(f"{typed!r} is not the plan's target {plan.source}: not approved")
    approval = approve(folder, plan_id)
    record = {"plan": plan_id, "approver": approval.approver, "fingerprint": approval.fingerprint}
    text = f"approved with key {approval.fingerprint} until {approval.until:%H:%M:%S} UTC\nnow: "
    told = json.dumps({**record, "until": approval.until.isoformat()})
    click.echo(told if as_json else text + face.command("apply", plan))


def _typed(wanted: str) -> str:
    from runbook_lib.errors import PlanRefusedError

    try:
        return str(click.prompt(f"Type {wanted} to approve", err=True))
    except click.Abort as error:
        click.echo(err=True)
        raise PlanRefusedError(
            f"nothing was typed: not approved; without a terminal, --target {wanted} or --yes"
        ) from error
