"""Drills on the terminal: what goes on, and the table at the end."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from runbook_lib.drills.grade import Grade


class Board:
    """One line a drill with what it does now; plain lines where there is no terminal."""

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._now = dict.fromkeys(names, "waiting for its turn")
        self._since = time.monotonic()
        self._live = Live(self, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def tell(self, name: str, text: str) -> None:
        self._now[name] = text
        if not self._console.is_terminal:
            spent = time.monotonic() - self._since
            self._console.print(Text(f"{spent:5.0f} s  {name}: {text}"), soft_wrap=True)

    def __rich__(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        for name, text in self._now.items():
            grid.add_row(Spinner("dots"), Text(name, style="bold"), Text(text, overflow="ellipsis", no_wrap=True))
        grid.add_row("", "", Text(f"{time.monotonic() - self._since:.0f} s", style="dim"))
        return grid


def table(grades: Sequence[Grade], seed: int) -> Table:
    """What was broken, what was found and how soon, what helped."""
    shown = Table(title=f"Drills, seed {seed}", title_justify="left", show_lines=True)
    for head in ("fault", "found", "first evidence", "verdict", "mitigation", "helped"):
        shown.add_column(head, overflow="fold", justify="right" if head in ("first evidence", "verdict") else "left")
    for g in grades:
        found = Text(g.found, style="bold green" if g.passed else "bold red")
        found.append(f"\n{g.subject}" if g.subject else "", style="not bold default")
        found.append(f"\n{g.why}" if g.why else "", style="red")
        helped = Text(g.helped, style="green" if g.helped == "helped" else "")
        first, verdict = _seconds(g.seconds_to_first_evidence), _seconds(g.seconds_to_verdict)
        shown.add_row(g.fault, found, first, verdict, Text(g.mitigation), helped)
    return shown


def places(grades: Sequence[Grade]) -> str:
    """Where it is written down; whole paths, so that they can be opened."""
    lines = [f"{g.drill}\n  evidence     {g.evidence}\n  post-mortem  {g.post_mortem}" for g in grades]
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
