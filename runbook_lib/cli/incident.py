"""`runbook incident`: its life, as people put it on the timeline."""

import json
from typing import Any

import click

from runbook_lib.cli._options import archive_option, json_option


@click.group()
def command() -> None:
    """Declares incidents, notes what people know, and says where each stands."""


def _folder(place: str, incident: str) -> Any:
    from runbook_lib.archive.store import Archive

    return Archive.there(place).incident(incident, must_exist=True)


def _say(text: str, record: dict[str, object], *, as_json: bool) -> None:
    click.echo(json.dumps(record) if as_json else text)


@command.command()
@click.argument("title")
@click.option("--profile", default="sandbox", show_default=True, help="the platform: a name or a path")
@click.option("--detected-by", type=click.Choice(["alert", "user", "team", "partner"]), default="user")
@archive_option
@json_option
def declare(title: str, profile: str, detected_by: str, place: str, *, as_json: bool) -> None:
    """Opens an incident; prints its id."""
    from runbook_lib import incidents
    from runbook_lib import profile as profiles
    from runbook_lib.archive.store import Archive

    profiles.load(profile)
    folder = incidents.declare(Archive.at(place), title, profile=profile, detected_by=detected_by)
    _say(folder.id, {"incident": folder.id, "folder": str(folder.path)}, as_json=as_json)


@command.command()
@click.argument("incident")
@click.argument("text")
@archive_option
@json_option
def note(incident: str, text: str, place: str, *, as_json: bool) -> None:
    """Puts TEXT on the timeline."""
    from runbook_lib import incidents

    event = incidents.note(_folder(place, incident), text)
    _say(f"noted at {event.at:%H:%M:%S} UTC", {"event": event.id}, as_json=as_json)


@command.command()
@click.argument("incident")
@click.argument("to")
@click.argument("why")
@archive_option
@json_option
def escalate(incident: str, to: str, why: str, place: str, *, as_json: bool) -> None:
    """Records that TO was called, and WHY."""
    from runbook_lib import incidents

    event = incidents.escalate(_folder(place, incident), to, why)
    _say(f"escalated to {to} at {event.at:%H:%M:%S} UTC", {"event": event.id}, as_json=as_json)


@command.command()
@click.argument("incident")
@click.argument("resolution")
@archive_option
@json_option
def resolve(incident: str, resolution: str, place: str, *, as_json: bool) -> None:
    """Ends the incident, saying how."""
    from runbook_lib import incidents

    event = incidents.resolve(_folder(place, incident), resolution)
    _say(f"resolved at {event.at:%H:%M:%S} UTC", {"event": event.id}, as_json=as_json)


@command.command()
@click.argument("incident")
@archive_option
@json_option
def status(incident: str, place: str, *, as_json: bool) -> None:
    """Says where the incident stands."""
    from runbook_lib import incidents

    state = incidents.state_of(_folder(place, incident))
    record: dict[str, object] = {
        "incident": state.incident,
        "title": state.title,
        "profile": state.profile,
        "phase": str(state.phase),
        "declared_at": state.declared_at.isoformat(),
        "resolved_at": state.resolved_at.isoformat() if state.resolved_at else None,
        "cause": state.cause,
        "events": state.events,
    }
    text = f"{state.incident}: {state.title}\n{state.phase}, since {state.declared_at:%Y-%m-%d %H:%M:%S} UTC"
    _say(f"{text}\ncause: {state.cause or 'not known yet'}", record, as_json=as_json)


@command.command("list")
@archive_option
@json_option
def listed(place: str, *, as_json: bool) -> None:
    """Lists the incidents of the archive, the latest last."""
    from runbook_lib import incidents
    from runbook_lib.archive.store import Archive
    from runbook_lib.errors import StateError

    states, unreadable = [], []
    for folder in Archive.there(place).incidents():
        try:
            states.append(incidents.state_of(folder))
        except StateError as error:
            unreadable.append(str(error))
    states.sort(key=lambda s: s.declared_at)
    for sentence in unreadable:
        click.echo(f"runbook: {sentence}", err=True)
    lines = [f"{s.declared_at:%Y-%m-%d %H:%M}  {s.phase:13}  {s.incident}  {s.title}" for s in states]
    found = [{"incident": s.incident, "title": s.title, "phase": str(s.phase), "cause": s.cause} for s in states]
    _say("\n".join(lines), {"incidents": found}, as_json=as_json)
