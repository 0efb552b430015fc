"""Who opened the connections, and when."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from runbook_lib.charts import style
from runbook_lib.charts.frames import highest, number, rows
from runbook_lib.model import Evidence
from runbook_lib.text import clean, count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 6
BARS = 10
OTHERS = "others"
STATES = (
    ("waiting for a lock", style.VERMILLION, ""),
    ("idle in transaction", style.ORANGE, ""),
    ("active", style.BLUE, ""),
    ("idle, in use", style.SKY, ""),
    ("idle, unused", style.LIGHT, "////"),
    ("other", style.GREY, ""),
)


class Start(NamedTuple):
    application: str
    at: datetime


def connections_over_time(evidence: Evidence, marks: Mapping[str, datetime] | None = None) -> style.Chart:
    """Steps: the present connections by the moment they were opened, stacked by application, against the limit.

    Takes evidence of `postgres.connection_starts` (application, started_at, max_connections are read); `marks` are
    events by name, UTC.
    """
    gap = style.missing(evidence, "connections over time", "The server shows no client connection.")
    if gap:
        return gap
    starts = [
        Start(clean(a, 80), at.to_pydatetime())
        for a, at in rows(evidence, "application", "started_at")
        if at is not None
    ]
    if not starts:
        return style.words(
            "Connections over time: unknown", ["The answer holds no start."], note=style.small_print(evidence)
        )
    allowed = highest(evidence, "max_connections")
    names = _ranked(starts)
    groups = {name: sorted(s.at for s in starts if _group(s, names) == name) for name in names}
    lead = next(iter(groups))
    title = f"{len(evidence.data)} of {count(allowed, 'connection')}, {len(groups[lead])} opened by {clean(lead, 40)}"
    note = style.small_print(evidence, "Connections that were closed before cannot be seen.")
    end = evidence.observed_at

    def paint(figure: "Figure") -> None:
        _paint_steps(figure.add_subplot(), groups, allowed, end, marks or {})

    return style.draw(paint, title=title, note=note, height=4.6)


def _ranked(starts: list[Start]) -> list[str]:
    """The applications with most connections, most first; the rest is one."""
    sizes: dict[str, int] = {}
    for start in starts:
        sizes[start.application] = sizes.get(start.application, 0) + 1
    ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
    return ranked if len(ranked) <= SHOWN else [*ranked[:SHOWN], OTHERS]


def _group(start: Start, names: list[str]) -> str:
    return start.application if start.application in names else OTHERS


def _begin(starts: list[datetime], end: datetime) -> datetime:
    """Where the axis begins: so that the newer half fills most of it; older ones are the level at the left edge."""
    ordered = sorted(starts)
    median = ordered[len(ordered) // 2]
    return max(median - (end - median) * 0.9, ordered[0] - (end - ordered[0]) * 0.05) - timedelta(seconds=1)


def _paint_steps(
    axes: "Axes", groups: Mapping[str, list[datetime]], allowed: int, end: datetime, marks: Mapping[str, datetime]
) -> None:
    dates = style.dates()
    date2num = dates.date2num
    moments = sorted(at for group in groups.values() for at in group)
    begin = min([_begin(moments, end), *(m - timedelta(seconds=5) for m in marks.values())])
    last = max([end, *marks.values()])
    times = sorted({begin, end, *(m for m in moments if begin < m < end)})
    # The biggest lies at the bottom, where its growth can be read off the axis.
    levels = [[sum(at <= t for at in group) for t in times] for group in groups.values()]
    colours = [*style.PALETTE[: min(len(groups), SHOWN)], style.GREY][: len(groups)]
    axes.stackplot([date2num(t) for t in times], levels, colors=colours, step="post", edgecolor="white", linewidth=0.5)
    axes.axhline(allowed, color=style.INK, linewidth=1.6)
    axes.set_ylim(0, max(allowed, len(moments)) * 1.12)
    axes.set_xlim(date2num(begin), date2num(last + (last - begin) * 0.01))
    _name_bands(axes, groups, colours, allowed)
    locator = dates.AutoDateLocator(tz=end.tzinfo, minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=end.tzinfo))
    axes.set_xlabel("opened at (UTC)")
    axes.set_ylabel("present connections")
    style.mark(axes, marks)


def _name_bands(axes: "Axes", groups: Mapping[str, list[datetime]], colours: list[str], allowed: int) -> None:
    """Each band's name beside it, and the limit's beside the line."""
    names, middles, base = [], [], 0.0
    for name, group in groups.items():
        names.append(f"■ {style.label(name, 24)} {len(group)}")
        middles.append(base + len(group) / 2)
        base += len(group)
    names.append(f"— max_connections {allowed}")
    middles.append(max(float(allowed), base))
    places = style.spread(middles, axes.get_ylim()[1] * 0.065)
    for text, y, colour in zip(names, places, [*colours, style.INK], strict=True):
        axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), va="center", size=10.5, color=colour)


def connections_by_application(evidence: Evidence) -> style.Chart:
    """Bars: the sessions of each application by what they do; idle ones that nobody used for long are set apart.

    Takes evidence of `postgres.connections_by_application`; sessions are counted once (`waiting_for_lock` is taken out
    of `active`, `unused` out of `idle`).
    """
    gap = style.missing(evidence, "connections by application", "The server shows no client connection.")
    if gap:
        return gap
    found = _by_application(evidence)
    allowed = highest(evidence, "max_connections")
    lead = max(found, key=lambda name: sum(found[name]))
    unused = found[lead][4]
    title = f"{clean(lead, 40)} holds {sum(found[lead])} of {count(allowed, 'connection')}"
    title += f", {unused} of them unused" if unused else ""
    limit = evidence.params.get("unused_seconds")
    note = style.small_print(
        evidence, f"Unused: idle for more than {limit:g} s." if isinstance(limit, int | float) else ""
    )

    def paint(figure: "Figure") -> None:
        _paint_states(figure.add_subplot(), found)

    return style.draw(paint, title=title, note=note, height=2.4 + 0.42 * len(found))


def _by_application(evidence: Evidence) -> dict[str, list[int]]:
    """Sessions by application, in the order of STATES; most sessions first, the rest as one."""
    sums: dict[str, list[int]] = {}
    figures = ("sessions", "active", "idle", "idle_in_transaction", "waiting_for_lock", "unused")
    for name, *values in rows(evidence, "application", *figures):
        sessions, active, idle, in_transaction, waiting, unused = (int(number(v)) for v in values)
        known = [waiting, in_transaction, max(active - waiting, 0), max(idle - unused, 0), unused]
        row = [*known, max(sessions - sum(known), 0)]
        old = sums.setdefault(clean(name, 80), [0] * len(row))
        sums[clean(name, 80)] = [a + b for a, b in zip(old, row, strict=True)]
    ranked = sorted(sums.items(), key=lambda item: -sum(item[1]))
    rest = [row for _, row in ranked[BARS:]]
    shown = dict(ranked[:BARS])
    return shown if not rest else {**shown, f"{len(rest)} others": [sum(column) for column in zip(*rest, strict=True)]}


def _paint_states(axes: "Axes", rows: Mapping[str, list[int]]) -> None:
    from matplotlib.ticker import MaxNLocator

    places = range(len(rows))
    left = [0] * len(rows)
    for index, (state, colour, hatch) in enumerate(STATES):
        widths = [row[index] for row in rows.values()]
        if any(widths):
            axes.barh(
                places, widths, left=left, color=colour, hatch=hatch, label=state, edgecolor=style.FAINT, linewidth=0.4
            )
            left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, total in zip(places, left, strict=True):
        axes.annotate(f" {total}", (total, place), va="center", weight="bold")
    axes.set_yticks(places, [style.label(name) for name in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("connections")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, (max(left) or 1) * 1.08)
    style.legend(axes, len(STATES))
