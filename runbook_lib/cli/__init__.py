"""The command line: one module a command, imported only when it is called."""

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import click

from runbook_lib.errors import RunbookError


class Commands(click.Group):
    """A group whose commands are the modules of this package, each with a `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the titles without importing what the commands need."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, TITLES.get(name, "")) for name in self.list_commands(ctx)])


TITLES = {
    "apply": "apply an approved plan, in this process, with the actor's credentials",
    "approve": "approve a proposed plan with your key",
    "archive": "list, verify and show what incidents left behind",
    "drill": "break the sandbox, let the notebooks find out why, grade them",
    "incident": "declare, note, resolve, list, show",
    "init": "copy notebooks and parameters out, to make them your team's own",
    "lab": "open JupyterLab on a copy of the notebooks inside the incident",
    "postmortem": "write the post-mortem of an incident from its evidence",
    "rejudge": "judge archived evidence again with today's checks",
    "run": "run a notebook and archive its evidence",
    "sandbox": "a small production on this machine, to break for real",
    "undo": "take back what an applied plan changed",
}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="runbook-lib")
def cli() -> None:
    """Incident-response runbooks that run: ask, judge, propose, prove."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; an expected error is one line on stderr and the exit status of its class."""
    try:
        cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"runbook: {' '.join(error.format_message().split())}", err=True)
        sys.exit(2)
    except RunbookError as error:
        click.echo(f"runbook: {error}", err=True)
        sys.exit(error.exit_status)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
