"""One statement has been running for very long."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject
from runbook_lib.model import Finding, Suggestion


def subjects(findings: Findings) -> list[Subject]:
    return [
        {"source": f.source, **{k: s[k] for k in ("pid", "application", "query", "running_seconds", "backend_start")}}
        for f in findings.of("postgres.long_queries")
        for s in f.facts.get("sessions", [])
    ]


def runs(finding: Finding, subject: Subject) -> str:
    mine = [s for s in finding.facts.get("sessions", []) if s["pid"] == subject["pid"]]
    return f"pid {subject['pid']} runs for {mine[0]['running_seconds']:.0f} s: {mine[0]['query']}" if mine else ""


def mitigations(subject: Subject) -> tuple[Suggestion, ...]:
    return (
        Suggestion(
            kind="postgres.cancel",
            source=subject["source"],
            arguments={"sessions": [{"pid": subject["pid"], "backend_start": subject["backend_start"]}]},
            why="ends the statement and leaves the session",
        ),
    )


CAUSE = Cause(
    id="long_running_query",
    title="pid {pid} of {application} has been running one statement for {running_seconds:.0f} s",
    category="code_error",
    subjects=subjects,
    predicts=(Sign(check="postgres.long_queries", says=runs),),
    mitigations=mitigations,
)
