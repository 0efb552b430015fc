"""Whether the endpoints answer, and how fast."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from runbook_lib.charts import style
from runbook_lib.charts.frames import number, rows
from runbook_lib.model import Evidence, Outcome
from runbook_lib.text import clean, count, milliseconds

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 16


class Answer(NamedTuple):
    endpoint: str
    good: bool
    word: str
    latency_ms: float


def endpoint_latency(evidence: Evidence) -> style.Chart:
    """Bars: milliseconds to the answer of each endpoint, by what it answered; those that did not say why.

    Takes evidence of `http.health` (endpoint, outcome, status, latency_ms, reason are read).
    """
    gap = style.missing(evidence, "endpoint latency", "No endpoint was asked.")
    if gap:
        return gap
    answers = sorted(_answers(evidence), key=lambda r: (r.good, -r.latency_ms))
    bad = [r for r in answers if not r.good]
    slowest = max(answers, key=lambda r: r.latency_ms)
    title = f"{len(answers) - len(bad)} of {count(len(answers), 'endpoint')} answer well"
    title += f"; {bad[0].endpoint}: {bad[0].word}" if bad else f", the slowest in {milliseconds(slowest.latency_ms)}"
    hidden = f"{count(len(answers) - BARS, 'more endpoint')} not shown." if len(answers) > BARS else ""

    def paint(figure: "Figure") -> None:
        _paint(figure.add_subplot(), answers[:BARS])

    return style.draw(
        paint, title=title, note=style.small_print(evidence, hidden), height=2.3 + 0.45 * min(len(answers), BARS)
    )


def _answers(evidence: Evidence) -> list[Answer]:
    return [
        _answer(clean(endpoint, 40), str(outcome), int(number(status)), number(latency), clean(reason, 60))
        for endpoint, outcome, status, latency, reason in rows(
            evidence, "endpoint", "outcome", "status", "latency_ms", "reason"
        )
    ]


def _answer(endpoint: str, outcome: str, status: int, latency: float, reason: str) -> Answer:
    if outcome == Outcome.ANSWERED:
        return Answer(endpoint, 200 <= status < 400, f"{status}", latency)
    known = [word for kind, word in style.OUTCOMES.items() if kind == outcome]
    return Answer(endpoint, good=False, word=(known or [reason or "no answer"])[0], latency_ms=latency)


def _paint(axes: "Axes", rows: Sequence[Answer]) -> None:
    for good, colour, hatch, name in (
        (True, style.BLUE, "", "answers well"),
        (False, style.VERMILLION, "////", "error"),
    ):
        chosen = [(i, r) for i, r in enumerate(rows) if r.good is good]
        if chosen:
            places, widths = [i for i, _ in chosen], [r.latency_ms for _, r in chosen]
            axes.barh(places, widths, color=colour, hatch=hatch, edgecolor="white", height=0.6, label=name)
    for place, row in enumerate(rows):
        took = f"{milliseconds(row.latency_ms)}, " if row.latency_ms else ""
        axes.annotate(f" {took}{style.label(row.word, 40)}", (row.latency_ms, place), va="center", size=10)
    axes.set_yticks(range(len(rows)), [style.label(r.endpoint) for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, (max(r.latency_ms for r in rows) or 1.0) * 1.45)
    axes.set_xlabel("milliseconds to the answer")
    style.legend(axes, 2)
