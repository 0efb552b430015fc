"""Which statements and which tables take the time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runbook_lib import queries
from runbook_lib.charts import style
from runbook_lib.charts.frames import number, rows
from runbook_lib.model import Evidence
from runbook_lib.text import clean, count, milliseconds, short_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = 8
SHORTEST_MS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`calls` and `total_ms` within the sample, the means in milliseconds a call."""

    query: str
    calls: float
    total_ms: float
    mean_now: float
    mean_before: float | None


def statement_times(evidence: Evidence) -> style.Chart:
    """Dots: milliseconds a call now (within the sample) against the mean since the counters were reset, log scale.

    Takes evidence of `postgres.statements`, which is asked twice (sample, queryid, query, calls, total_ms are read).
    """
    gap = style.missing(evidence, "statement times", "The server has counted no statement of this database.")
    if gap:
        return gap
    found = sorted(_statements(evidence), key=lambda s: -s.total_ms)
    note = style.small_print(evidence, "Counts statements that ended; one that still runs or waits is not in it.")
    total = sum(s.total_ms for s in found)
    if not total:
        lines = ["No statement ended between the two samples, so there is no time to compare."]
        return style.words("Statement times: nothing ended in the sample", lines, note=note)
    top = found[0]
    before = f", {milliseconds(top.mean_before)} before" if top.mean_before is not None else ", not seen before"
    title = (
        f"{top.total_ms / total:.0%} of the time goes to one statement: {milliseconds(top.mean_now)} a call now{before}"
    )

    def paint(figure: "Figure") -> None:
        _paint(figure.add_subplot(), found[:BARS], total)

    return style.draw(paint, title=title, note=note, height=2.4 + 0.62 * min(len(found), BARS))


def _by_sample(evidence: Evidence, *columns: str) -> list[tuple[Any, ...]]:
    """These columns after `sample`: all rows of the first sample, then all of the second."""
    return sorted(rows(evidence, "sample", *columns), key=lambda row: number(row[0]))


def _statements(evidence: Evidence) -> list[Statement]:
    """Those that ended at least once within the sample; a counter that was reset meanwhile says nothing."""
    first: dict[str, tuple[float, float]] = {}
    found = []
    most = number(evidence.params.get("top")) or float("inf")
    for sample, queryid, query, calls, total in _by_sample(evidence, "queryid", "query", "calls", "total_ms"):
        if sample == 0:
            first[str(queryid)] = (number(calls), number(total))
            continue
        if str(queryid) not in first and len(first) >= most:
            continue  # it may have been below the limit of the first sample, so its time is not known to be new
        calls_before, total_before = first.get(str(queryid), (0.0, 0.0))
        more, spent = number(calls) - calls_before, number(total) - total_before
        if more > 0 and spent >= 0:
            mean = total_before / calls_before if calls_before else None
            found.append(
                Statement(query=clean(query, 300), calls=more, total_ms=spent, mean_now=spent / more, mean_before=mean)
            )
    return found


def _paint(axes: "Axes", rows: Sequence[Statement], total: float) -> None:
    for place, row in enumerate(rows):
        now = max(row.mean_now, SHORTEST_MS)
        if row.mean_before is not None:
            before = max(row.mean_before, SHORTEST_MS)
            axes.plot([before, now], [place, place], color=style.LIGHT, linewidth=5, solid_capstyle="round", zorder=1)
            name = "" if place else "mean since reset, before the sample"
            axes.plot(before, place, "o", mfc="white", mec=style.BLUE, mew=2, ms=9, label=name)
        axes.plot(now, place, "D", color=style.VERMILLION, ms=9, label="" if place else "now, in the sample")
        share = f"{row.total_ms / total:.0%} of the time, {count(row.calls, 'call')}"
        axes.annotate(share, (1.01, place), xycoords=("axes fraction", "data"), va="center", size=9.5)
        axes.annotate(
            style.label(row.query, 96), (0.0, place - 0.36), xycoords=("axes fraction", "data"), va="center", size=9
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: milliseconds(value))
    axes.set_yticks([])
    axes.set_ylim(len(rows) - 0.5, -0.75)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.08)
    axes.set_xlabel("time a call (logarithmic)")
    style.legend(axes, 2)


def sequential_scans(evidence: Evidence) -> style.Chart:
    """Bars: rows a second that sequential scans read, by table, within the sample.

    Takes evidence of `postgres.sequential_scans`, which is asked twice (sample, schema_name, table_name, live_rows,
    seq_scans, rows_read are read).
    """
    gap = style.missing(evidence, "sequential scans", "No big table: nothing here can be slow for want of an index.")
    if gap:
        return gap
    rates = _rates(evidence)
    note = style.small_print(evidence, f"Within about {_interval(evidence):g} s; big tables only.")
    if not rates:
        lines = ["No big table was read from end to end between the two samples."]
        return style.words("Sequential scans: none in the sample", lines, note=note, good=evidence.coverage.whole)
    lead = next(iter(rates))
    title = f"{short_number(rates[lead][0])} rows/s are read by sequential scans of {lead} ({rates[lead][1]})"

    def paint(figure: "Figure") -> None:
        _paint_scans(figure.add_subplot(), rates)

    return style.draw(paint, title=title, note=note, height=2.0 + 0.45 * len(rates))


def _interval(evidence: Evidence) -> float:
    """Seconds between the two samples: what asking took, as the check counts it, and never less than the pause."""
    return max(queries.load("postgres.sequential_scans").sample, evidence.took.total_seconds())


def _rates(evidence: Evidence) -> dict[str, tuple[float, str]]:
    """Rows a second and a word on scans and size, by table, most first."""
    first: dict[str, tuple[float, float]] = {}
    rates: dict[str, tuple[float, str]] = {}
    every = _interval(evidence)
    for sample, schema, table, live, scans, read in _by_sample(
        evidence, "schema_name", "table_name", "live_rows", "seq_scans", "rows_read"
    ):
        name = clean(table if schema == "public" else f"{schema}.{table}", 40)
        if sample == 0:
            first[name] = (number(scans), number(read))
        elif name in first and number(read) > first[name][1]:
            more = (number(scans) - first[name][0]) / every
            word = f"{short_number(more)} scans/s of {short_number(number(live))} rows"
            rates[name] = ((number(read) - first[name][1]) / every, word)
    return dict(sorted(rates.items(), key=lambda r: -r[1][0])[:BARS])


def _paint_scans(axes: "Axes", rates: Mapping[str, tuple[float, str]]) -> None:
    places = range(len(rates))
    values = [rate for rate, _ in rates.values()]
    axes.barh(places, values, color=style.VERMILLION, height=0.6)
    for place, (rate, word) in zip(places, rates.values(), strict=True):
        axes.annotate(f" {short_number(rate)}/s; {word}", (rate, place), va="center", size=10)
    axes.set_yticks(places, [style.label(name) for name in rates])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: short_number(value))
    axes.set_xlim(0, max(values) * 1.6)
    axes.set_xlabel("rows read a second")
