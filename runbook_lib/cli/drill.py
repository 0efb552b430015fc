"""`runbook drill`: breaks the sandbox, lets the notebooks find out why and mend it, and grades them."""

import random
import tempfile
from pathlib import Path
from typing import Any

import click

from runbook_lib.cli._options import archive_option, json_option


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seed", type=int, help="what is broken where; a new one each time by default")
@click.option("--jobs", type=click.IntRange(1, 8), default=2, show_default=True, help="sandboxes side by side")
@archive_option
@json_option
def command(names: tuple[str, ...], seed: int | None, jobs: int, place: str, *, as_json: bool) -> None:
    """Carries out the drills NAMES (all of parameters/drills by default).

    Exits with 1 when a drill did not show what it had to.
    """
    import json

    from rich.console import Console

    from runbook_lib.archive.store import Archive
    from runbook_lib.drills import runner, scenario
    from runbook_lib.drills.report import Board, places, table

    drills = [scenario.load(name) for name in names or scenario.names()]
    archive = Archive.at(place)
    seed = random.randrange(10**6) if seed is None else seed  # noqa: S311 - no secret hangs on it
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="runbook-drill-") as states,
        Board(console, [d.name for d in drills]) as board,
    ):
        grades = runner.run_all(drills, archive, Path(states), seed=seed, jobs=jobs, progress=board.tell)
    if as_json:
        shown: dict[str, Any] = {"seed": seed, "passed": all(g.passed for g in grades)}
        click.echo(json.dumps({**shown, "drills": [g.record() for g in grades]}))
    else:
        Console().print(table(grades, seed))
        click.echo(places(grades))
    if not all(g.passed for g in grades):
        raise SystemExit(1)
