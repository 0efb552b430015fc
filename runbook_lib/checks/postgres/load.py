"""What the server spends its time on."""

from runbook_lib.checks import sql
from runbook_lib.checks.base import Judgement, Row, change, check, graded, measured, rows
from runbook_lib.model import Evidence, Json, Status

NAMED = 10


@check
def statements(
    evidence: Evidence, *, warn_ms: float = 100.0, critical_ms: float = 1000.0, min_calls: int = 3
) -> Judgement:
    """The mean time of the statements that ran between the two samples.

    Noise floor: `warn_ms`, and at least `min_calls` runs; below it a slower statement is not judged.
    """
    seconds, grown = change(evidence, ("queryid",), ("calls", "total_ms"))
    ran = [{**r, "now_ms": r["total_ms"] / r["calls"]} for r in grown if r["calls"] >= min_calls]
    if not ran:
        return Judgement(
            Status.OK, f"no statement ran {min_calls} times in {seconds:.1f} s", measured(0, "ms", warn_ms, slow=[])
        )
    slow = sorted((r for r in ran if r["now_ms"] >= warn_ms), key=lambda r: -float(r["total_ms"]))
    worst = max(ran, key=lambda r: float(r["now_ms"]))
    summary = f"the slowest recurring statement takes {worst['now_ms']:.1f} ms on average (warn at {warn_ms:g} ms)"
    summary += f": {_short(worst['query'])}" if slow else ""
    facts = measured(worst["now_ms"], "ms", warn_ms, slow=[_statement(r, seconds) for r in slow[:NAMED]])
    return Judgement(graded(worst["now_ms"], warn_ms, critical_ms), summary, facts)


def _statement(row: Row, seconds: float) -> dict[str, Json]:
    shape = sql.shape(row["query"])
    return {
        "queryid": row["queryid"],
        "query": _short(row["query"]),
        "now_ms": row["now_ms"],
        "per_second": row["calls"] / seconds,
        "table": shape.table if shape else "",
        "columns": list(shape.columns) if shape else [],
    }


def _short(text: str) -> str:
    return " ".join(text.split())[:200]


@check
def sequential_scans(
    evidence: Evidence, *, warn_rows_per_second: float = 100_000.0, critical_rows_per_second: float = 50_000_000.0
) -> Judgement:
    """Rows per second read by scanning big tables from end to end, between the two samples.

    100,000 rows/s is about one scan a second of the smallest table that a planner would rather read by index.
    """
    seconds, grown = change(evidence, ("schema_name", "table_name"), ("seq_scans", "rows_read"))
    scanned = [_scan(r, seconds) for r in grown if r["seq_scans"]]
    scanned.sort(key=lambda t: -float(t["rows_per_second"]))
    if not scanned:
        return Judgement(
            Status.OK, "no big table is read from end to end", measured(0, "rows/s", warn_rows_per_second, tables=[])
        )
    worst = scanned[0]
    summary = (
        f"{worst['table']} ({worst['live_rows']:,} rows) is read from end to end {worst['scans_per_second']:.1f} times "
        f"a second: {worst['rows_per_second']:,.0f} rows/s (warn at {warn_rows_per_second:,.0f})"
    )
    late = [t for t in scanned if t["rows_per_second"] >= warn_rows_per_second]
    facts = measured(worst["rows_per_second"], "rows/s", warn_rows_per_second, tables=late[:NAMED])
    return Judgement(graded(worst["rows_per_second"], warn_rows_per_second, critical_rows_per_second), summary, facts)


def _scan(row: Row, seconds: float) -> dict[str, Json]:
    return {
        "schema": row["schema_name"],
        "table": row["table_name"],
        "live_rows": row["live_rows"],
        "table_bytes": row["table_bytes"],
        "scans_per_second": row["seq_scans"] / seconds,
        "rows_per_second": row["rows_read"] / seconds,
    }


@check
def indexes(evidence: Evidence) -> Judgement:
    """Indexes that were left invalid (a CREATE INDEX CONCURRENTLY that failed) are written to and never read."""
    found = rows(evidence)
    invalid = [f"{r['table_name']}.{r['index_name']}" for r in found if not r["is_valid"]]
    leading: dict[str, list[str]] = {}
    for row in found:
        if row["is_valid"] and row["columns"] and not row["is_partial"]:
            leading.setdefault(f"{row['schema_name']}.{row['table_name']}", []).append(row["columns"][0])
    facts = measured(len(invalid), "invalid indexes", 1, leading=leading, invalid=invalid)
    if invalid:
        return Judgement(Status.WARN, f"{len(invalid)} invalid indexes: {', '.join(invalid[:NAMED])}", facts)
    return Judgement(Status.OK, f"{len(found)} indexes, all valid", facts)


@check
def cache_hits(evidence: Evidence, *, warn: float = 0.9, critical: float = 0.5, min_blocks: int = 10_000) -> Judgement:
    """The share of blocks found in memory between the two samples.

    Judged from `min_blocks` on: a few cold blocks are noise. 99 % is what one hopes for (pg-extras), 90 % is trouble.
    """
    seconds, (row,) = change(
        evidence, ("database",), ("blocks_hit", "blocks_read", "commits", "rollbacks", "deadlocks")
    )
    asked = row["blocks_hit"] + row["blocks_read"]
    share = row["blocks_hit"] / asked if asked else 1.0
    summary = (
        f"{share:.1%} of {asked} blocks found in memory (warn below {warn:.0%}, judged from {min_blocks} blocks on), "
        f"{row['commits'] / seconds:.0f} commits and {row['rollbacks'] / seconds:.0f} rollbacks per second"
    )
    status = graded(1 - share, 1 - warn, 1 - critical) if asked >= min_blocks else Status.OK
    return Judgement(status, summary, measured(share, "found in memory", warn, deadlocks=row["deadlocks"]))
