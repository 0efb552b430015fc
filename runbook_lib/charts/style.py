"""What all charts share: a drawn picture as a value, one style, words where there is nothing to draw.

A figure is drawn and rendered under one lock, because matplotlib's settings are global; what comes out is plain bytes.
matplotlib itself is imported when the first chart is drawn.
"""

import functools
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.model import Evidence, Outcome
from runbook_lib.text import clean, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

# Okabe and Ito, "Color universal design" (2008): told apart with every common colour blindness.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY, LIGHT, INK, FAINT = "#56B4E9", "#CC79A7", "#8c959f", "#d0d7de", "#1f2328", "#59636e"
PALETTE = (VERMILLION, BLUE, ORANGE, GREEN, SKY, PURPLE)
WIDTH, DPI = 9.6, 120
TITLE_ROOM, SMALL_PRINT_ROOM, LABEL_ROOM = 76, 118, 34
RC: Mapping[Any, Any] = {
    "font.family": ["DejaVu Sans"],  # ships with matplotlib, so a chart looks the same everywhere
    "font.size": 11,
    "text.parse_math": False,  # a dollar sign in a query is a dollar sign
    "text.usetex": False,
    "text.color": INK,
    "axes.titlesize": 14,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eaeef2",
    "xtick.color": FAINT,
    "xtick.major.size": 0,
    "xtick.major.pad": 7,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
}
OUTCOMES = {
    Outcome.REFUSED: "connection refused",
    Outcome.TIMED_OUT: "timed out",
    Outcome.DNS: "its name does not resolve",
    Outcome.TLS: "TLS failed",
    Outcome.AUTH: "login refused",
    Outcome.FORBIDDEN: "not permitted",
    Outcome.EXHAUSTED: "no connection was free",
    Outcome.STARTING: "it was still starting",
    Outcome.NOT_FOUND: "it is not there",
    Outcome.NOT_CONFIGURED: "not configured",
    Outcome.FAILED: "it failed",
}
_LOCK = threading.RLock()


@dataclass(frozen=True, slots=True, repr=False)
class Chart:
    """A drawn picture: shows once in a notebook, and says in words what it shows (`repr`, for those who cannot see)."""

    title: str
    body: str
    note: str
    data: bytes

    def png(self) -> bytes:
        return self.data

    def save(self, path: str | Path) -> Path:
        Path(path).write_bytes(self.data)
        return Path(path)

    def __repr__(self) -> str:
        return "Chart: " + " ".join(filter(None, (f"{self.title}.", self.body, self.note)))

    def _repr_png_(self) -> bytes:
        return self.data


@contextmanager
def _styled() -> Iterator[None]:
    from matplotlib import style

    # "default" first: the reader's own settings must not change what goes into an archive.
    with _LOCK, style.context(["default", dict(RC)]):
        yield


def draw(paint: "Callable[[Figure], None]", *, title: str, note: str, height: float, body: str = "") -> Chart:
    """One picture, `height` in inches, whose axes `paint` adds; `note` is the small print below it.

    `body` are the words that `paint` draws, for the text alternative.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title, note = glyphs(clean(title, 160)), glyphs(clean(note, 600))
    with _styled():
        figure = Figure(figsize=(WIDTH, height), dpi=DPI)
        FigureCanvasAgg(figure)
        paint(figure)
        _caption(figure, title, note)
        buffer = io.BytesIO()
        # No software version in the file: the same evidence gives the same bytes.
        figure.savefig(buffer, format="png", metadata={"Software": None, "Description": title})
    return Chart(title, body, note, buffer.getvalue())


def _caption(figure: "Figure", title: str, note: str) -> None:
    # The title begins at the picture's edge, not at the axes': long labels at the left would push it out of sight.
    size = 14 if len(title) <= TITLE_ROOM else 12
    figure.suptitle(wrap(title, TITLE_ROOM if size == 14 else 92), x=0.012, ha="left", size=size, weight="bold")
    figure.supxlabel(wrap(note, SMALL_PRINT_ROOM), x=0.012, ha="left", size=9, color=FAINT)


def wrap(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width, max_lines=3, placeholder=" …")) or " "


@functools.cache
def _font() -> "FT2Font":
    from matplotlib import font_manager

    return font_manager.get_font(font_manager.findfont("DejaVu Sans"))


def glyphs(text: str) -> str:
    """Replaces what the font cannot draw by a box, rather than let matplotlib warn about it."""
    if text.isascii():
        return text
    with _LOCK:
        known = _font().get_char_index
        return "".join(c if c == "\n" or known(_code(c)) else "\u25a1" for c in text)


def _code(character: str) -> Any:
    return ord(character)  # matplotlib's stub asks for a type of its own


def label(text: object, limit: int = LABEL_ROOM) -> str:
    """Text from outside, fit for a chart."""
    return glyphs(clean(text, limit))


def words(title: str, lines: Sequence[str], *, note: str, good: bool = False) -> Chart:
    """A picture of words, where there is nothing to draw: never an empty axis that looks healthy."""
    body = "\n".join(wrap(glyphs(clean(line, 400)), 80) for line in lines)

    def paint(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.set_axis_off()
        colour = FAINT if good else VERMILLION
        axes.text(0.0, 0.5, body, size=13, color=colour, ha="left", va="center", transform=axes.transAxes)

    return draw(paint, title=title, note=note, height=1.9, body=body.replace("\n", " "))


def small_print(evidence: Evidence, *more: str) -> str:
    """Whom, when, and what was left out."""
    seen = evidence.coverage
    left_out = "" if seen.whole else f"Incomplete: {seen}."
    asked = f"{shorten(clean(evidence.target.source), 40)}, asked at {evidence.observed_at:%Y-%m-%d %H:%M:%S} UTC."
    return " ".join(filter(None, (asked, left_out, *more)))


def missing(evidence: Evidence, what: str, empty: str) -> Chart | None:
    """The picture of words for evidence that was not answered, or that holds no row; None where there is something."""
    title = f"{what[:1].upper()}{what[1:]}"
    if evidence.outcome is not Outcome.ANSWERED:
        how = OUTCOMES[evidence.outcome]
        reason = f" ({clean(evidence.reason, 200)})" if evidence.reason else ""
        lines = [f"could not be asked: {how}{reason}", "Nothing is known about this; it may be good or bad."]
        return words(f"{title}: unknown", lines, note=small_print(evidence))
    if evidence.data.empty:
        lines = [empty] if evidence.coverage.whole else [empty, "But the answer is incomplete, so this is not certain."]
        return words(title, lines, note=small_print(evidence), good=evidence.coverage.whole)
    return None


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, in the same order and near the wanted ones (ascending).

    >>> spread([0, 0.1, 5], 1)
    [0, 1, 5]
    """
    placed: list[float] = []
    for position in wanted:
        placed.append(max(position, placed[-1] + gap) if placed else position)
    return placed


def dates() -> Any:
    """matplotlib.dates, which has no types of its own."""
    from matplotlib import dates as module

    return module


def mark(axes: "Axes", marks: Mapping[str, datetime]) -> None:
    """Draws each event as a dashed line with its name on top."""
    date2num = dates().date2num

    left, right = axes.get_xlim()
    for place, (name, moment) in enumerate(sorted(marks.items(), key=lambda m: m[1])):
        late = date2num(moment) > left + 0.75 * (right - left)  # a name beyond it would leave the axes
        axes.axvline(date2num(moment), color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.annotate(
            f"{label(name, 24)} {moment:%H:%M:%S}",
            (date2num(moment), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-4 if late else 4, -2 - 13 * (place % 3)),
            ha="right" if late else "left",
            textcoords="offset points",
            va="top",
            size=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )


def legend(axes: "Axes", columns: int) -> None:
    """Above the axes, in one row, so that it never hides a bar."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=9.5, borderaxespad=0.2, handlelength=1.2
        )
