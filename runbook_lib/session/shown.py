"""How things look in a notebook; on a terminal the same objects are text."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from IPython.display import display

from runbook_lib.model import MIME, Hypothesis, Json, Status, Target, badge
from runbook_lib.window import Window

RED = "color:#cf222e;font-weight:bold"
WORDS = {
    "supports": "What speaks for it",
    "contradicts": "What speaks against it",
    "would_settle": "What would settle it",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """Which incident, which platform, which systems: read it before you believe or change anything."""

    incident: str
    profile: str
    notebook: str
    window: Window
    targets: tuple[Target, ...]
    run: str

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        rows = [(t.source, t.kind, t.address, _who(t), t) for t in self.targets]
        head = f"{self.notebook} for incident {self.incident} on {self.profile}, {self.window}"
        text = [head, *(f"  {source} ({kind}) at {address}: {who}" for source, kind, address, who, _ in rows)]
        cells = "".join(
            f"<tr><td>{escape(source)}</td><td>{escape(kind)}</td><td>{escape(address)}</td>"
            f"<td style='{'' if t.identity or t.kind == 'http' else RED}'>{escape(who)}</td></tr>"
            for source, kind, address, who, t in rows
        )
        table = f"<table><tr><th>source</th><th>kind</th><th>address</th><th>identity</th></tr>{cells}</table>"
        html = f"<p><b>{escape(head)}</b></p>{table}<p><small>evidence: {escape(self.run)}</small></p>"
        return {"text/plain": "\n".join(text), "text/html": html}


def _who(target: Target) -> str:
    if target.kind == "http":
        return "proves none; nothing is changed there"
    return target.identity or "NOT KNOWN: no change is allowed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The ranked hypotheses and what could not be seen."""

    hypotheses: tuple[Hypothesis, ...]
    status: Status
    asked: int
    unanswered: tuple[str, ...]

    @property
    def first(self) -> Hypothesis:
        return self.hypotheses[0]

    @property
    def coverage(self) -> str:
        if not self.unanswered:
            return f"All {self.asked} questions were answered."
        return f"{len(self.unanswered)} of {self.asked} questions went unanswered."

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        text = [f"worst known status: {self.status}. {self.coverage}"]
        html = [f"<p>{badge(self.status)} {escape(self.coverage)}</p>"]
        for number, hypothesis in enumerate(self.hypotheses, 1):
            text.append(f"{number}. {hypothesis.title} ({hypothesis.confidence}: {hypothesis.because})")
            html.append(f"<h3>{number}. {escape(hypothesis.title)}</h3>")
            html.append(f"<p><b>{hypothesis.confidence}</b>: {escape(hypothesis.because)}</p>")
            for name, words in WORDS.items():
                items = getattr(hypothesis, name)
                text += [f"   {words}: {item}" for item in items]
                listed = "".join(f"<li>{escape(i)}</li>" for i in items)
                html.append(f"<p>{words}</p><ul>{listed}</ul>" if items else "")
        html += [f"<p>Not seen: {escape(u)}</p>" for u in self.unanswered]
        data: dict[str, Json] = {"verdict": self.first.record(), "hypotheses": [h.record() for h in self.hypotheses]}
        data |= {"status": str(self.status), "asked": self.asked, "unanswered": list(self.unanswered)}
        return {"text/plain": "\n".join(text), "text/html": "".join(html), MIME: data}


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence that must not be missed."""

    text: str
    bad: bool = False

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        colour = "#cf222e" if self.bad else "#1a7f37"
        html = f"<p style='border-left:6px solid {colour};padding:6px 12px;font-size:110%'>{escape(self.text)}</p>"
        return {"text/plain": self.text, "text/html": html, MIME: {"message": self.text, "bad": self.bad}}


def show(*things: object) -> None:
    for thing in things:
        display(thing)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a head, every cell escaped."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        lines = ["  ".join(self.head), *("  ".join(row) for row in self.rows)]
        top = "".join(f"<th>{escape(h)}</th>" for h in self.head)
        body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in self.rows)
        return {"text/plain": "\n".join(lines), "text/html": f"<table><tr>{top}</tr>{body}</table>"}
