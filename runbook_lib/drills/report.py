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
    """The end of a drill run: what was broken, what was found, what helped, and where it is written down."""
    shown = Table(title=f"Drills, seed {seed}", title_justify="left", show_lines=True)
    heads = ("fault", "found", "first evidence", "verdict", "mitigation", "helped", "evidence", "post-mortem")
    for head in heads:
        shown.add_column(head, overflow="fold", justify="right" if head in ("first evidence", "verdict") else "left")
    for g in grades:
        found = Text(f"{g.found} {g.subject}".strip(), style="green" if g.passed else "red")
        if g.why:
            found.append(f"\n{g.why}", style="red")
        evidence, report = g.evidence.rpartition("/")[2], g.post_mortem.rpartition("/")[2]
        shown.add_row(
            g.fault,
            found,
            _seconds(g.seconds_to_first_evidence),
            _seconds(g.seconds_to_verdict),
            g.mitigation,
            Text(g.helped, style="green" if g.helped == "helped" else ""),
            Text(evidence),
            Text(report),
        )
    return shown


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
