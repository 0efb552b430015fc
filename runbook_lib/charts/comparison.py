"""Before and after a mitigation, finding by finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbook_lib.charts import style
from runbook_lib.model import COLOURS, STATUS_RANK, Json, Status
from runbook_lib.text import clean, count, short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 14
BEFORE, AFTER, CELL = 3.7, 7.05, 2.95
"""Where the columns stand and how wide a cell is, in tenths of the picture."""
Record = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same check of the same source, before and after; None where it was not judged."""

    check: str
    source: str
    before: Record | None
    after: Record | None

    @property
    def bad(self) -> bool:
        return any(status_of(r) is not Status.OK for r in (self.before, self.after))


def status_of(record: Record | None) -> Status:
    word = str((record or {}).get("status", Status.UNKNOWN))
    return Status(word) if word in set(Status) else Status.UNKNOWN


def pairs(before: Sequence[Record], after: Sequence[Record]) -> list[Pair]:
    """Joined on check, source and arguments; what was bad comes first, worst first."""
    first, second = ({_key(r): r for r in records} for records in (before, after))
    joined = [
        Pair(check=key[0], source=key[1], before=first.get(key), after=second.get(key)) for key in {**first, **second}
    ]
    return sorted(joined, key=lambda p: -max(STATUS_RANK.get(status_of(r), 0.5) for r in (p.before, p.after)))


def _key(record: Record) -> tuple[str, str, str]:
    arguments = record.get("arguments") or {}
    return clean(record.get("check", ""), 60), clean(record.get("source", ""), 60), repr(sorted(arguments.items()))


def figure_of(record: Record | None) -> str:
    """The main number of a finding, where its facts have one: `58 connections (limit 48)`."""
    facts = (record or {}).get("facts") or {}
    value, unit, threshold = (facts.get(name) for name in ("value", "unit", "threshold"))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    limit = f" (limit {short_number(threshold)})" if isinstance(threshold, int | float) else ""
    return f"{short_number(value)} {clean(unit or '', 24)}".strip() + limit


def before_after(before: Sequence[Record], after: Sequence[Record]) -> style.Chart:
    """A table in colour: each check's status and main number before and after; those ok both times are one line.

    Takes finding records (`model.Finding.record`); facts `value`, `unit` and `threshold` are shown where present.
    """
    joined = pairs(before, after)
    if not joined:
        lines = ["Nothing was judged before or after, so nothing can be said about its effect."]
        return style.words("Before and after: unknown", lines, note="")
    shown = [p for p in joined if p.bad]
    quiet = len(joined) - len(shown)
    bad = [p for p in joined if status_of(p.before) in (Status.WARN, Status.CRITICAL)]
    mended = [p for p in bad if status_of(p.after) is Status.OK]
    title = f"{len(mended)} of {count(len(bad), 'bad finding')} {'is' if len(mended) == 1 else 'are'} ok now"
    title = title if bad else "Nothing was bad before"
    worse = [p for p in joined if STATUS_RANK.get(status_of(p.after), 0) > STATUS_RANK.get(status_of(p.before), 0)]
    title += f", {len(worse)} got worse" if worse else ""
    hidden = max(len(shown) - ROWS, 0)
    note = " ".join(
        [
            f"{count(quiet, 'check')} ok before and after." if quiet else "",
            f"{hidden} more not shown." if hidden else "",
        ]
    )

    def paint(figure: "Figure") -> None:
        _paint(figure.add_subplot(), shown[:ROWS])

    return style.draw(
        paint,
        title=title,
        note=note,
        height=1.7 + 0.5 * min(len(shown), ROWS),
    )


def _paint(axes: "Axes", rows: Sequence[Pair]) -> None:
    axes.set_axis_off()
    axes.set_xlim(0, 10)
    axes.set_ylim(max(len(rows), 1) - 0.4, -1.1)
    for x, heading in ((0.0, "check"), (BEFORE, "before"), (AFTER, "after")):
        axes.text(x, -0.8, heading, color=style.FAINT, va="center")
    for place, pair in enumerate(rows):
        axes.text(0, place - 0.14, style.label(pair.check, 42), va="center", weight="bold", size=10)
        axes.text(0, place + 0.24, style.label(pair.source), va="center", size=8.5, color=style.FAINT)
        _cell(axes, BEFORE, place, pair.before)
        _cell(axes, AFTER, place, pair.after)
        axes.annotate(
            "",
            (AFTER - 0.05, place),
            xytext=(BEFORE + CELL + 0.05, place),
            arrowprops={"arrowstyle": "->", "color": style.FAINT},
        )


def _cell(axes: "Axes", x: float, y: float, record: Record | None) -> None:
    from matplotlib.patches import Rectangle

    status = status_of(record)
    axes.add_patch(Rectangle((x, y - 0.4), CELL, 0.8, color=COLOURS[status], linewidth=0))
    word = str(status) if record is not None else "not judged"
    figure = style.label(figure_of(record), 40)
    axes.text(x + 0.1, y - (0.16 if figure else 0), word, va="center", color="white", weight="bold", size=10.5)
    axes.text(x + 0.1, y + 0.2, figure, va="center", color="white", size=9.5)
