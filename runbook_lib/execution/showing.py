"""What `runbook run` shows while the notebook runs: findings as they come, the verdict, the plans."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from runbook_lib.model import MIME, Json
from runbook_lib.text import command
from runbook_lib.window import spoken

COLOURS = {"ok": "green", "warn": "yellow", "critical": "bold red", "unknown": "dim"}
LISTS = (("supports", "for"), ("contradicts", "against"), ("would_settle", "would settle it"))


class Unbreakable(Console):
    """A console whose reader may go away (`| head`): the run goes on, unseen."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Terminal:
    """Prints the findings, verdicts and plans that a run's outputs carry. All text comes from outside: it is printed
    as it stands, without markup and without control characters.
    """

    def __init__(self, console: Console, *, notebook: str, profile: str, incident: str, archive: str) -> None:
        self._console = console
        self._notebook = notebook
        self._profile = profile
        self._incident = incident
        self._archive = archive
        self._shown: set[str] = set()

    def output(self, _cell: int, output: Mapping[str, Any]) -> None:
        """An `on_output` of the runner."""
        told = output.get("data", {}).get(MIME, {})
        shown: dict[str, Callable[[Any], None]] = {
            "finding": self._finding,
            "verdict": self._verdict,
            "unanswered": self._unanswered,
            "plan": self._plan,
            "verified": self._verified,
            "message": self._message,
        }
        for key, show in shown.items():
            if key in told:
                show(told[key])

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line of parts, each a text or a text with its style."""
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        self._console.print(Text.assemble(*((plain(text), style) for text, style in pairs)), soft_wrap=True)

    def _finding(self, finding: Mapping[str, Json]) -> None:
        # A notebook shows a finding again where it discusses it.
        told = f"{finding.get('evidence')}: {finding['summary']}"
        if told in self._shown:
            return
        self._shown.add(told)
        status = str(finding["status"])
        self.line((f"{status:8}", COLOURS.get(status, "")), f" {finding['source']}: {finding['summary']}")

    def _verdict(self, verdict: Mapping[str, Json]) -> None:
        self.line()
        self.line((str(verdict["title"]), "bold"), f" ({verdict['confidence']})")
        self.line(f"  {verdict['because']}")
        for key, word in LISTS:
            for sentence in verdict.get(key, ()):
                self.line((f"  {word}: ", "dim"), str(sentence))

    def _unanswered(self, sentences: Sequence[str]) -> None:
        for sentence in sentences:
            self.line(("  not seen: ", "dim"), sentence)

    def _plan(self, plan: Mapping[str, Json]) -> None:
        name = str(plan["id"])
        options = {"profile": self._profile, "incident": self._incident, "approve": name, "archive": self._archive}
        self.line()
        self.line(("proposed ", "bold"), f"{plan['title']} ({plan['source']}), plan {name}")
        self.line("  to approve and apply it: ", (command("run", self._notebook, **options), "cyan"))

    def _verified(self, verified: Mapping[str, Json]) -> None:
        held = f", every answer held ok for {spoken(verified['held_seconds'])}" if verified["held_seconds"] else ""
        self.line(f"plan {verified['plan']}: ", (str(verified["verdict"]), "bold"), held)

    def _message(self, text: str) -> None:
        self.line((text, "bold"))


def plain(text: str) -> str:
    """Without line ends and control characters, so that what a system says cannot draw on the terminal.

    >>> plain("fine\\x1b[2J\\n\\u202eevil")
    'fine[2J evil'
    """
    return "".join(c for c in text.replace("\n", " ") if c.isprintable())
