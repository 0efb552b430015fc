"""Sessions opened a transaction and went silent; they hold locks, connections, and vacuum back."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject, bad
from runbook_lib.model import Finding, Suggestion


def subjects(findings: Findings) -> list[Subject]:
    """One subject an application: several forgotten transactions of one job are one cause."""
    found: dict[tuple[str, str], list[Subject]] = {}
    for finding in findings.of("postgres.idle_in_transaction"):
        for session in finding.facts.get("sessions", []):
            found.setdefault((finding.source, session["application"]), []).append(session)
    return [
        {
            "source": source,
            "application": application,
            "count": len(sessions),
            "pids": [s["pid"] for s in sessions],
            "sessions": [{"pid": s["pid"], "backend_start": s["backend_start"]} for s in sessions],
            "idle_seconds": max(s["idle_seconds"] for s in sessions),
            "query": sessions[0]["query"],
        }
        for (source, application), sessions in found.items()
    ]


def silent(finding: Finding, subject: Subject) -> str:
    return f"{finding.summary}; the last statement was: {subject['query']}" if bad(finding, subject) else ""


def blocks_others(finding: Finding, subject: Subject) -> str:
    roots = {r["pid"] for r in finding.facts.get("roots", [])}
    both = roots & set(subject["pids"])
    return f"pid {min(both)} is at the root of a lock queue, which is the worse harm" if both else ""


def mitigations(subject: Subject) -> tuple[Suggestion, ...]:
    return (
        Suggestion(
            kind="postgres.terminate",
            source=subject["source"],
            arguments={"sessions": subject["sessions"]},
            why="their transactions are rolled back, their locks and connections come free",
        ),
    )


CAUSE = Cause(
    id="idle_in_transaction",
    title="{count} sessions of {application} opened a transaction and went silent",
    category="code_error",
    subjects=subjects,
    predicts=(Sign(check="postgres.idle_in_transaction", says=silent),),
    contradicts=(Sign(check="postgres.blocking_tree", says=blocks_others),),
    mitigations=mitigations,
)
