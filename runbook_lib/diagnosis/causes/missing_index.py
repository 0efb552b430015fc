"""A recurring statement reads a big table from end to end, for want of an index on what it compares."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject, same_source
from runbook_lib.model import Finding, Suggestion


def subjects(findings: Findings) -> list[Subject]:
    """Tables that are scanned, with the columns that a slow statement on them compares."""
    found: list[Subject] = []
    for scans in findings.of("postgres.sequential_scans"):
        statements = findings.about("postgres.statements", scans.source)
        slow = statements.facts.get("slow", []) if statements else []
        for table in scans.facts.get("tables", []):
            name, schema = table["table"], table["schema"]
            columns = next((s["columns"] for s in slow if s["table"] == name and s["columns"]), [""])
            found.append(
                {"source": scans.source, "schema": schema, "table": name, "columns": columns, "column": columns[0]}
            )
    return found


def scanned(finding: Finding, subject: Subject) -> str:
    tables = [
        t for t in finding.facts.get("tables", []) if (t["schema"], t["table"]) == (subject["schema"], subject["table"])
    ]
    if not tables:
        return ""
    t = tables[0]
    return (
        f"{t['table']} ({t['live_rows']:,} rows) is read from end to end {t['scans_per_second']:.1f} times a second, "
        f"{t['rows_per_second']:,.0f} rows/s"
    )


def slow(finding: Finding, subject: Subject) -> str:
    mine = [s for s in finding.facts.get("slow", []) if s["table"] == subject["table"]]
    return (
        f"takes {mine[0]['now_ms']:.0f} ms, {mine[0]['per_second']:.1f} times a second: {mine[0]['query']}"
        if mine
        else ""
    )


def no_index(finding: Finding, subject: Subject) -> str:
    if not subject["column"] or "leading" not in finding.facts:
        return ""
    leading = finding.facts["leading"].get(f"{subject['schema']}.{subject['table']}", [])
    if subject["column"] in leading:
        return ""
    begin = ", ".join(leading) or "none"
    return f"no valid index of {subject['table']} begins with {subject['column']} (those that are there: {begin})"


def mitigations(subject: Subject) -> tuple[Suggestion, ...]:
    if not subject["column"]:
        return ()
    return (
        Suggestion(
            kind="postgres.create_index",
            source=subject["source"],
            arguments={"schema": subject["schema"], "table": subject["table"], "columns": subject["columns"]},
            why="the statement then reads only its rows; built concurrently, so that nobody waits for it",
        ),
    )


def same_table(ours: Subject, theirs: Subject) -> bool:
    return same_source(ours, theirs) and str(ours["table"]) in str(theirs.get("query", ""))


CAUSE = Cause(
    id="missing_index",
    title="{table} is read from end to end for want of an index on {column}",
    category="configuration_error",
    subjects=subjects,
    predicts=(
        Sign(check="postgres.sequential_scans", says=scanned),
        Sign(
            check="postgres.statements", says=slow, settles="which statement on the table is slow, and what it compares"
        ),
        Sign(check="postgres.indexes", says=no_index, settles="whether an index for that column exists"),
    ),
    explains={"long_running_query": same_table},
    mitigations=mitigations,
)
