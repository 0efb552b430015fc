"""`runbook sandbox`: a small production on this machine, to break for real."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook_lib.cli._options import json_option

if TYPE_CHECKING:
    from runbook_lib.sandbox import Fault, Status

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    envvar="RUNBOOK_SANDBOX",
    default=".sandbox",
    show_default=True,
    show_envvar=True,
    help="The sandbox's folder.",
)


@click.group(help=__doc__)
def command() -> None:
    pass


@command.command()
@state_option
@json_option
@click.option("--seed", type=int, default=0, show_default=True, help="Decides names and magnitudes.")
def up(state: Path, seed: int, *, as_json: bool) -> None:
    """Start PostgreSQL, Valkey, the shop and its customers."""
    from runbook_lib import sandbox

    _show_status(sandbox.up(state, seed=seed, progress=_progress), as_json=as_json)


@command.command()
@state_option
@json_option
def status(state: Path, *, as_json: bool) -> None:
    """Say what runs, what is simulated and what is broken."""
    from runbook_lib import sandbox

    _show_status(sandbox.status(state), as_json=as_json)


@command.command("break")
@click.argument("fault")
@state_option
@json_option
@click.option("--seed", type=int, help="Decides names and magnitudes; the sandbox's own by default.")
def break_(fault: str, state: Path, seed: int | None, *, as_json: bool) -> None:
    """Break it with FAULT, and say the truth about it."""
    from runbook_lib import sandbox

    truth = sandbox.break_fault(state, fault, seed=seed, progress=_progress)
    if as_json:
        _print_json(truth.as_dict())
    else:
        click.echo(_sentence(truth))


@command.command()
@state_option
@json_option
def heal(state: Path, *, as_json: bool) -> None:
    """Undo whatever is broken, and wait until the shop is well."""
    from runbook_lib import sandbox

    _show_status(sandbox.heal(state, progress=_progress), as_json=as_json)


@command.command()
@state_option
@json_option
def down(state: Path, *, as_json: bool) -> None:
    """End everything and delete the folder."""
    from runbook_lib import sandbox

    sandbox.down(state)
    if as_json:
        _print_json({"state": str(state.absolute()), "phase": "down"})
    else:
        click.echo(f"nothing is left of {state}")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@state_option
@json_option
def load(folder: Path, state: Path, *, as_json: bool) -> None:
    """Serve a cluster as it was, from what `kubectl get -o json|yaml` printed into DIR; `down` ends it.

    Containers' logs come from DIR/logs/NAMESPACE/POD/CONTAINER.log and CONTAINER.previous.log.
    """
    from runbook_lib import sandbox

    loaded = sandbox.load(state, folder)
    if as_json:
        _print_json(loaded.as_dict())
        return
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(loaded.objects.items()))
    click.echo(f"{sum(loaded.objects.values())} objects: {counted}")
    click.echo(f"export KUBECONFIG={loaded.kubeconfig}")
    click.echo(f"profile: {loaded.profile}")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@state_option
@json_option
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path), help="Another cluster than the sandbox's, also a real one."
)
@click.option("--context", default="", help="A context of the kubeconfig; the current one by default.")
def save(folder: Path, state: Path, kubeconfig: Path | None, context: str, *, as_json: bool) -> None:
    """Write a cluster as it is now into DIR, for `load`: objects without Secrets' values, and the end of each log."""
    from dataclasses import asdict

    from runbook_lib.sandbox.cluster.saving import save as write

    saved = write(folder, kubeconfig or state / "kubeconfig", context)
    if as_json:
        _print_json(asdict(saved))
        return
    for sentence in saved.refused:
        click.echo(f"not read: {sentence}", err=True)
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(saved.objects.items()))
    click.echo(f"{folder}: {sum(saved.objects.values())} objects ({counted}) and {saved.logs} logs")


def _progress(step: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(f"[dim]sandbox:[/dim] {step}", highlight=False)


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value))


def _sentence(fault: "Fault") -> str:
    subject = ", ".join(f"{key} {value}" for key, value in fault.subject.items()) or "nothing"
    return f"{fault.fault} since {fault.since}: {fault.cause} ({subject}); fits: {fault.mitigation or 'nothing to do'}"


def _show_status(status: "Status", *, as_json: bool) -> None:
    if as_json:
        _print_json(status.as_dict())
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("service", "pid", "port", "runs", "simulated", box=None)
    for service in status.services:
        runs = "yes" if service.running else "no"
        table.add_row(service.name, str(service.pid), str(service.port), runs, service.simulated or "")
    console = Console()
    console.print(f"sandbox {status.phase} in {status.state}, seed {status.seed}", highlight=False, soft_wrap=True)
    console.print(table)
    if status.load:
        seen = "{requests} requests, {errors} errors, {dropped} dropped, p95 {p95_ms} ms".format(**status.load)
        console.print(f"last second: {seen}", highlight=False)
    console.print(f"broken: {_sentence(status.fault) if status.fault else 'nothing'}", highlight=False, soft_wrap=True)
    console.print(f"profile: {status.profile}", highlight=False, soft_wrap=True)
