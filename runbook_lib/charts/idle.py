"""Sessions that hold a transaction open without doing anything."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from runbook_lib.charts import style
from runbook_lib.charts.frames import number, rows
from runbook_lib.model import Evidence
from runbook_lib.text import clean, count
from runbook_lib.window import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 12


class Idle(NamedTuple):
    pid: int
    application: str
    idle: float
    transaction: float
    blocks: int
    holds: str


def idle_transactions(evidence: Evidence) -> style.Chart:
    """Bars: sessions that opened a transaction and went silent; for how long, whom they block, what they hold.

    Takes evidence of `postgres.idle_in_transaction` (pid, application, idle_seconds, transaction_seconds, blocks,
    relations are read).
    """
    gap = style.missing(evidence, "idle in transaction", "No session is idle in a transaction.")
    if gap:
        return gap
    found = sorted(_rows(evidence), key=lambda r: -r.idle)
    blocked = sum(r.blocks for r in found)
    title = (
        f"{count(len(found), 'session')} idle in transaction, longest {spoken(found[0].idle)} ({found[0].application})"
    )
    title += f", blocking {blocked}" if blocked else ", blocking nobody"
    hidden = f"{count(len(found) - BARS, 'more session')} not shown." if len(found) > BARS else ""

    def paint(figure: "Figure") -> None:
        _paint(figure.add_subplot(), found[:BARS])

    return style.draw(
        paint, title=title, note=style.small_print(evidence, hidden), height=2.3 + 0.45 * min(len(found), BARS)
    )


def _rows(evidence: Evidence) -> list[Idle]:
    return [
        Idle(
            pid=int(pid),
            application=clean(application, 30),
            idle=number(idle),
            transaction=number(transaction),
            blocks=int(number(blocks)),
            holds=", ".join(clean(r, 30) for r in relations) if isinstance(relations, list) else "",
        )
        for pid, application, idle, transaction, blocks, relations in rows(
            evidence, "pid", "application", "idle_seconds", "transaction_seconds", "blocks", "relations"
        )
    ]


def _paint(axes: "Axes", rows: Sequence[Idle]) -> None:
    places = range(len(rows))
    axes.barh(
        places, [max(r.transaction, r.idle) for r in rows], color=style.LIGHT, height=0.6, label="transaction open"
    )
    axes.barh(places, [r.idle for r in rows], color=style.ORANGE, height=0.6, label="silent since")
    for place, row in zip(places, rows, strict=True):
        holds = f"holds {row.holds}" if row.holds else ""
        words = (spoken(row.idle), f"blocks {row.blocks}" if row.blocks else "", holds)
        text = style.label("; ".join(filter(None, words)), 44)
        axes.annotate(f" {text}", (max(row.idle, row.transaction), place), va="center", size=10)
    axes.set_yticks(places, [style.label(f"{r.pid}  {r.application}") for r in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, (max(max(r.idle, r.transaction) for r in rows) or 1.0) * 1.7)
    axes.set_xlabel("seconds")
    style.legend(axes, 2)
