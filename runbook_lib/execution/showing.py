"""What `runbook run` shows while the notebook runs: findings as they come, the verdict, the plans."""

import shlex
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from runbook_lib.model import MIME, Json

COLOURS = {"ok": "green", "warn": "yellow", "critical": "bold red", "unknown": "dim"}
LISTS = (("supports", "for"), ("contradicts", "against"), ("would_settle", "would settle it"))


class Terminal:
    """Prints the findings, verdicts and plans that a run's outputs carry. All text comes from outside: it is printed
    as it stands, without markup and without control characters.
    """

    def __init__(self, console: Console, *, incident: str, archive: str) -> None:
        self._console = console
        self._place = f"--incident {shlex.quote(incident)} --archive {shlex.quote(archive)}"

    def output(self, _cell: int, output: Mapping[str, Any]) -> None:
        """An `on_output` of the runner."""
        told = output.get("data", {}).get(MIME, {})
        shown = {"finding": self._finding, "verdict": self._verdict, "plan": self._plan}
        for key, show in shown.items():
            if isinstance(told.get(key), Mapping):
                show(told[key])

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line of parts, each a text or a text with its style."""
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        self._console.print(Text.assemble(*((plain(text), style) for text, style in pairs)), soft_wrap=True)

    def _finding(self, finding: Mapping[str, Json]) -> None:
        status = str(finding["status"])
        self.line((f"{status:8}", COLOURS.get(status, "")), f" {finding['source']}: {finding['summary']}")

    def _verdict(self, verdict: Mapping[str, Json]) -> None:
        self.line()
        self.line((str(verdict["title"]), "bold"), f" ({verdict['confidence']})")
        self.line(f"  {verdict['because']}")
        for key, word in LISTS:
            for sentence in verdict.get(key, ()):
                self.line((f"  {word}: ", "dim"), str(sentence))

    def _plan(self, plan: Mapping[str, Json]) -> None:
        self.line()
        self.line(("proposed ", "bold"), f"{plan['title']} ({plan['source']}), plan {plan['id']}")
        self.line("  to approve: ", (f"runbook approve {shlex.quote(str(plan['id']))} {self._place}", "cyan"))


def plain(text: str) -> str:
    """Without line ends and control characters, so that what a system says cannot draw on the terminal.

    >>> plain("fine\\x1b[2J\\n\\u202eevil")
    'fine[2J evil'
    """
    return "".join(c for c in text.replace("\n", " ") if c.isprintable())
