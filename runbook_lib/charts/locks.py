"""Who waits for whom, as a drawn tree."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbook_lib.charts import style
from runbook_lib.charts.frames import number, rows
from runbook_lib.model import Evidence
from runbook_lib.text import clean, count
from runbook_lib.window import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UNDER_ONE = 5
"""Waiters shown under one blocker before the rest is folded into one row."""
ROWS = 16
DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    pid: int
    blocked_by: tuple[int, ...] = ()
    application: str
    state: str = ""
    query: str = ""
    waiting: float = 0.0
    transaction: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the drawn tree."""

    depth: int
    text: str
    seconds: float
    colour: str
    detail: str = ""
    spoken: str = ""


def blocking_tree(evidence: Evidence) -> style.Chart:
    """The tree: roots at the left, below each those who wait for it, with seconds as bars; many waiters are folded.

    Takes evidence of `postgres.blocking_tree` (pid, blocked_by, application, state, query, waiting_seconds and
    transaction_seconds are read).
    """
    gap = style.missing(evidence, "who waits for whom", "Nobody waits for a lock.")
    if gap:
        return gap
    sessions = {s.pid: s for s in _sessions(evidence)}
    children = _children(sessions)
    roots = sorted(_roots(sessions, children), key=lambda pid: -len(_below(pid, children)))
    lines = [row for root in roots for row in _rows(root, sessions, children, 0)]
    hidden = len(lines) - ROWS
    note = style.small_print(
        evidence,
        "Black: how long the root's transaction is open; orange: how long each one has waited.",
        f"{count(hidden, 'more line')} not shown." if hidden > 0 else "",
    )

    def paint(figure: "Figure") -> None:
        _paint_tree(figure, lines[:ROWS])

    return style.draw(
        paint, title=_title(sessions, roots), note=note, height=1.7 + 0.52 * max(min(len(lines), ROWS), 3)
    )


def _sessions(evidence: Evidence) -> list[Session]:
    return [
        Session(
            pid=int(pid),
            blocked_by=tuple(int(b) for b in blockers or ()),
            application=clean(application, 30),
            state=clean(state, 40),
            query=clean(query, 64),
            waiting=number(waiting),
            transaction=number(transaction),
        )
        for pid, blockers, application, state, query, waiting, transaction in rows(
            evidence, "pid", "blocked_by", "application", "state", "query", "waiting_seconds", "transaction_seconds"
        )
    ]


def _children(sessions: dict[int, Session]) -> Mapping[int, list[int]]:
    """Each waiter once, below the root that it waits for, else below its first blocker; longest wait first.

    Blockers that the answer does not hold are added: pid 0 is a prepared transaction, which has no session.
    """
    children: dict[int, list[int]] = defaultdict(list)
    for session in sorted(sessions.values(), key=lambda s: -s.waiting):
        if session.blocked_by:
            free = [b for b in session.blocked_by if b not in sessions or not sessions[b].blocked_by]
            children[(free or session.blocked_by)[0]].append(session.pid)
    for blocker in children.keys() - sessions.keys():
        sessions[blocker] = Session(
            pid=blocker, application="(not in the answer)" if blocker else "prepared transaction"
        )
    return dict(children)


def _below(pid: int, children: Mapping[int, list[int]]) -> set[int]:
    found: set[int] = set()
    ahead = [pid]
    while ahead:
        fresh = [c for c in children.get(ahead.pop(), ()) if c not in found]
        found.update(fresh)
        ahead += fresh
    return found


def _roots(sessions: Mapping[int, Session], children: Mapping[int, list[int]]) -> list[int]:
    """Those who wait for nobody; of a ring, which a deadlock is for a moment, one."""
    roots = [s.pid for s in sessions.values() if not s.blocked_by]
    reached = {p for root in roots for p in _below(root, children)} | set(roots)
    for pid in sessions:
        if pid not in reached:
            roots.append(pid)
            reached |= _below(pid, children) | {pid}
    return roots


def _rows(
    pid: int,
    sessions: Mapping[int, Session],
    children: Mapping[int, list[int]],
    depth: int,
    above: frozenset[int] = frozenset(),
) -> Iterator[Row]:
    yield _row(sessions[pid], depth)
    above |= {pid}
    waiters = [c for c in children.get(pid, ()) if c not in above]
    # Those with a queue of their own come first and are never folded: the shape of the tree is the point.
    ordered = sorted(waiters, key=lambda c: c not in children)
    kept = [c for i, c in enumerate(ordered) if i < UNDER_ONE or c in children] if depth < DEEPEST else []
    for child in kept:
        yield from _rows(child, sessions, children, depth + 1, above)
    rest = [sessions[c].waiting for c in ordered if c not in kept]
    if rest:
        longest = max(rest)
        yield Row(
            depth=depth + 1,
            text=f"and {len(rest)} more",
            seconds=longest,
            colour=style.LIGHT,
            spoken=f"up to {spoken(longest)}",
        )


def _row(session: Session, depth: int) -> Row:
    root = depth == 0
    who = f"{session.pid}  {session.application}" if session.pid else session.application
    return Row(
        depth=depth,
        text=f"{who}, {session.state}" if root and session.state else who,
        detail=session.query,
        seconds=session.transaction if root else session.waiting,
        colour=style.INK if root else style.ORANGE,
        spoken=spoken(session.transaction if root else session.waiting),
    )


def _title(sessions: Mapping[int, Session], roots: Sequence[int]) -> str:
    waiters = [s for s in sessions.values() if s.blocked_by]
    longest = spoken(max((s.waiting for s in waiters), default=0.0))
    whom = f"{len(roots)} root blockers"
    if len(roots) == 1:
        root = sessions[roots[0]]
        whom = f"pid {root.pid} ({root.application})" if root.pid else "a prepared transaction"
    waits = f"{count(len(waiters), 'session')} {'waits' if len(waiters) == 1 else 'wait'} for {whom}"
    return f"{waits}, {'' if len(waiters) == 1 else 'the longest '}for {longest}"


def _paint_tree(figure: "Figure", rows: Sequence[Row]) -> None:
    names, bars = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    names.set_axis_off()
    names.set_xlim(0, 1)
    for place, row in enumerate(rows):
        # What is the same as in the line above is not said again.
        above = rows[place - 1] if place else row
        _name_row(names, place, row, detail=row.detail if place == 0 or above.detail != row.detail else "")
        bars.barh(place, row.seconds, height=0.5, color=row.colour)
        bars.annotate(f" {row.spoken}", (row.seconds, place), va="center", size=10)
    _join_rows(names, rows)
    bars.set_ylim(len(rows) - 0.4, -0.6)
    bars.set_xlim(0, (max(row.seconds for row in rows) or 1.0) * 1.3)
    bars.tick_params(labelleft=False)
    bars.grid(visible=False, axis="y")
    bars.set_xlabel("seconds")


def _left(depth: int) -> float:
    return 0.045 * min(depth, 7)


def _name_row(axes: "Axes", place: int, row: Row, *, detail: str) -> None:
    lift = 0.15 if detail else 0.0
    weight = "normal" if row.depth else "bold"
    x = _left(row.depth)
    axes.text(x, place - lift, style.label(row.text, 44), va="center", weight=weight, size=11)
    axes.text(x, place + 0.23, style.label(detail, 58), va="center", size=8, color=style.FAINT)


def _join_rows(axes: "Axes", rows: Sequence[Row]) -> None:
    """The elbows from each waiter to its blocker."""
    for place, row in enumerate(rows):
        parents = [i for i in range(place) if rows[i].depth == row.depth - 1]
        if parents:
            x = _left(row.depth - 1) + 0.012
            axes.plot(
                [x, x, _left(row.depth) - 0.006], [parents[-1] + 0.42, place, place], color=style.GREY, linewidth=1
            )
