"""What several commands take."""

from collections.abc import Callable
from typing import Any

import click

from runbook_lib.workspace import default_archive

Decorated = Callable[..., Any]


def archive_option(function: Decorated) -> Decorated:
    text = "where evidence is; RUNBOOK_ARCHIVE, else ./archive"
    return click.option("--archive", "place", help=text, callback=_place)(function)


def _place(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    if value == "":
        raise click.UsageError("--archive is empty: name a folder, or leave it out")
    return value or default_archive()


def json_option(function: Decorated) -> Decorated:
    return click.option("--json", "as_json", is_flag=True, help="print one JSON object on stdout")(function)


def profile_of(incident: Any) -> str:
    """The profile that an incident was last run with."""
    from runbook_lib.archive import timeline

    events = timeline.read(incident)
    runs = [e.data.get("parameters", {}).get("profile") for e in events if e.kind == "run_started"]
    return str(next((p for p in reversed(runs) if p), None) or events[0].data.get("profile") or "sandbox")
