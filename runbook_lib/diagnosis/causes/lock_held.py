"""A session holds a lock, and a queue of others forms behind it."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject, bad, endpoints_fail, same_source
from runbook_lib.model import Finding, Suggestion


def subjects(findings: Findings) -> list[Subject]:
    return [
        {"source": f.source, "waited": f.facts["longest_seconds"], **root}
        for f in findings.of("postgres.blocking_tree")
        if bad(f, {})
        for root in f.facts.get("roots", [])
    ]


def queue(finding: Finding, subject: Subject) -> str:
    mine = [r for r in finding.facts.get("roots", []) if r["pid"] == subject["pid"]]
    if not mine:
        return ""
    return f"{mine[0]['waiters']} sessions wait behind pid {subject['pid']}, which runs or last ran: {mine[0]['query']}"


def asked_for(finding: Finding, _subject: Subject) -> str:
    """However short each wait is at this moment."""
    return finding.summary if finding.facts.get("value") else ""


def same_session(ours: Subject, theirs: Subject) -> bool:
    return same_source(ours, theirs) and ours["pid"] in theirs.get("pids", [theirs.get("pid")])


def waiting_application(ours: Subject, theirs: Subject) -> bool:
    return same_source(ours, theirs) and theirs.get("application", "") in {"", *ours["applications_waiting"]}


def mitigations(subject: Subject) -> tuple[Suggestion, ...]:
    return (
        Suggestion(
            kind="postgres.terminate",
            source=subject["source"],
            arguments={"sessions": [{"pid": subject["pid"], "backend_start": subject["backend_start"]}]},
            why=f"its lock ends with the session, and the {subject['waiters']} that wait for it go on",
        ),
    )


CAUSE = Cause(
    id="lock_held",
    title="pid {pid} of {application} holds a lock on {table}, and {waiters} sessions wait behind it",
    category="code_error",
    subjects=subjects,
    predicts=(
        Sign(check="postgres.blocking_tree", says=queue),
        Sign(check="postgres.ungranted_locks", says=asked_for, settles="which locks are asked for and not granted"),
        Sign(check="http.health", says=endpoints_fail, elsewhere=True),
    ),
    explains={
        "idle_in_transaction": same_session,
        "connections_exhausted": same_source,
        "connection_leak": waiting_application,
        "long_running_query": same_session,
    },
    mitigations=mitigations,
)
