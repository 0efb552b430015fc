"""`runbook run`: run a notebook and archive its evidence."""

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook_lib.cli._options import profile_of
from runbook_lib.workspace import default_archive

if TYPE_CHECKING:
    from runbook_lib.archive.store import IncidentFolder
    from runbook_lib.execution.parameters import Given
    from runbook_lib.execution.runner import RunResult

ORDER = ("ok", "warn", "critical")


@click.command(help=__doc__)
@click.argument("name")
@click.option("-p", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a parameter; may be repeated.")
@click.option("-f", "file", type=click.Path(path_type=Path), help="A YAML file of parameters.")
@click.option("--profile", metavar="NAME", help="The platform: a name in parameters/profiles, or a path.")
@click.option("--incident", metavar="ID", help="The incident that this belongs to; a new one is declared without it.")
@click.option(
    "--archive", envvar="RUNBOOK_ARCHIVE", show_envvar=True, help="Where incidents are kept  [default: archive]"
)
@click.option("--approve", metavar="PLAN", help="The id of the plan that may be applied.")
@click.option(
    "--timeout", type=click.FloatRange(min=1, max=86_400), default=1800, show_default=True, help="Seconds for the run."
)
@click.option("--fail-on", type=click.Choice(ORDER[1:]), help="Exit with 4 when a finding is at this or above.")
@click.option("--json", "as_json", is_flag=True, help="Print findings.json and the folder, and nothing else.")
def command(name: str, *, fail_on: str | None, as_json: bool, timeout: float, **given: Any) -> None:
    from runbook_lib.execution import warm

    if math.isnan(timeout):
        raise click.BadParameter("wants a number of seconds", param_hint="--timeout")
    with warm.kernels():  # imports what the kernel needs, while this process does its own work
        parameters, profile, hidden = _prepare(name, given)
        incident = _incident(name, given, parameters, profile)
        if given["approve"]:
            _approve(incident, given["approve"])
        from runbook_lib.execution.runner import run_notebook
        from runbook_lib.execution.showing import Terminal, Unbreakable

        console = Unbreakable(stderr=as_json, highlight=False)
        terminal = Terminal(
            console, notebook=name, profile=profile, incident=incident.id, archive=str(incident.path.parent)
        )
        terminal.line(f"{name} for {incident.id}")
        result = run_notebook(
            name, parameters=parameters, incident=incident, timeout=timeout, hide_env=hidden, on_output=terminal.output
        )
    terminal.line()
    terminal.line((result.state, "bold"), f": {result.reason}" if result.reason else "")
    terminal.line(f"report: {result.folder.path / 'report.html'}")
    if as_json:
        click.echo(json.dumps({**_told(result), "folder": str(result.folder.path)}))
    sys.exit(result.exit_status or _judged(result.findings, fail_on))


def _prepare(name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], str, set[str]]:
    """The notebook's parameters, its profile, and the variables that its kernel must not see.

    Whatever is unusable is said here.
    """
    from runbook_lib import workspace
    from runbook_lib.execution.parameters import Given, declared, from_file, from_pairs, load_notebook, settle

    if given["archive"] == "":
        raise click.UsageError("--archive is empty: name a folder, or leave it out")
    path = workspace.notebook(name)
    notebook = load_notebook(path)
    known = declared(notebook)
    usual = workspace.parameters_file(path.stem)
    options: dict[str, Given] = {
        key: Given(given[key], f"--{key}")
        for key in ("profile", "incident", "archive", "approve")
        if given[key] is not None and (key in known or key == "approve")
    }
    layers = [
        from_file(usual) if usual else {},
        _of_incident(given) if "profile" in known else {},
        from_file(given["file"]) if given["file"] else {},
    ]
    parameters = settle(notebook, *layers, from_pairs(given["pairs"]), options)
    profile = parameters.get("profile") or (known["profile"].default if "profile" in known else "")
    return parameters, str(profile), _hidden(str(profile)) if profile else set()


def _of_incident(given: Mapping[str, Any]) -> dict[str, "Given"]:
    """An incident that is there already is about a platform: its profile goes before the notebook's usual one."""
    from runbook_lib.archive.store import Archive
    from runbook_lib.execution.parameters import Given

    if not given["incident"]:
        return {}
    folder = Archive.there(given["archive"] or default_archive()).incident(given["incident"], must_exist=True)
    return {"profile": Given(profile_of(folder), f"incident {folder.id}")}


def _hidden(profile_name: str) -> set[str]:
    """Loads the profile, resolves what reading needs, and names the variables that hold the actor's secrets."""
    from runbook_lib import checks, drivers, profile
    from runbook_lib.secrets import SHORTEST, redactor

    loaded = profile.load(profile_name)
    checks.check_thresholds(loaded)
    drivers.check_settings(loaded)
    references = {ref for source in loaded.sources.values() for ref in drivers.of(source).hidden(source)}
    names = {ref.removeprefix("env:") for ref in references if ref.startswith("env:")}
    for value in filter(None, map(os.environ.get, names)):
        if len(value) >= SHORTEST:
            redactor.add(value)
    return names


def _incident(name: str, given: Mapping[str, Any], parameters: dict[str, Any], profile: str) -> "IncidentFolder":
    """The incident's folder, declared where it is new. The runner tells the notebook which, so it is taken out here."""
    from runbook_lib.archive.store import Archive
    from runbook_lib.incidents import life

    place, incident = (parameters.pop(key, None) or given[key] for key in ("archive", "incident"))
    archive = Archive.at(place or default_archive())
    if incident:
        return archive.incident(incident, must_exist=True)
    return life.declare(archive, f"{Path(name).stem} was run by hand", profile=profile, detected_by="runbook run")


def _approve(incident: "IncidentFolder", plan_id: str) -> None:
    """Naming a plan approves it, unless somebody did before. Raises RefusedError before anything runs."""
    from runbook_lib.mitigations import plan as plans
    from runbook_lib.mitigations.approval import approval_of, approve

    if approval_of(incident, plans.load(incident, plan_id)) is None:
        approve(incident, plan_id)


def _told(result: "RunResult") -> dict[str, Any]:
    if result.findings is not None:
        return dict(result.findings)
    return {"run": {"id": result.folder.id, "state": result.state, "reason": result.reason}, "findings": []}


def _judged(findings: Mapping[str, Any] | None, fail_on: str | None) -> int:
    if fail_on is None or findings is None:
        return 0
    bad = ORDER[ORDER.index(fail_on) :]
    return 4 if any(finding["status"] in bad for finding in findings["findings"]) else 0
