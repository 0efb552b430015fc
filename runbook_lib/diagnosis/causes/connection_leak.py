"""An application opens connections and never gives them back."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject, bad, same_source
from runbook_lib.model import Finding, Suggestion


def subjects(findings: Findings) -> list[Subject]:
    return [
        {"source": f.source, **{k: holder[k] for k in ("application", "role", "sessions", "unused", "max_connections")}}
        for f in findings.of("postgres.connections_by_application")
        for holder in f.facts.get("holders", [])
    ]


def _holder(finding: Finding, subject: Subject) -> dict[str, object]:
    holders = finding.facts.get("holders", [])
    return next((h for h in holders if h["application"] == subject["application"]), {})


def unused(finding: Finding, subject: Subject) -> str:
    holder = _holder(finding, subject)
    if not holder:
        return ""
    return (
        f"{holder['application']} holds {holder['sessions']} of {holder['max_connections']} connections and has not "
        f"used {holder['unused']} of them for up to {holder['oldest_unused_seconds']:.0f} s; "
        f"the last one ran: {holder['last_query']}"
    )


def opens_more(finding: Finding, subject: Subject) -> str:
    if not _holder(finding, subject).get("opened_while_unused"):
        return ""
    return f"{subject['application']} opened new connections while it left others unused, which a pool never does"


def waits_for_locks(finding: Finding, subject: Subject) -> str:
    """Idle connections cannot wait: where most of them do, it is a pile-up behind a lock."""
    waiting = int(str(_holder(finding, subject).get("waiting_for_lock", 0)))
    return f"{waiting} of its sessions wait for a lock: a pile-up, not a leak" if waiting > subject["unused"] else ""


def mitigations(subject: Subject) -> tuple[Suggestion, ...]:
    return (
        Suggestion(
            kind="postgres.terminate_unused",
            source=subject["source"],
            arguments={"application": subject["application"], "role": subject["role"]},
            why=f"frees about {subject['unused']} connections now; the leak goes on until the code is mended",
        ),
    )


CAUSE = Cause(
    id="connection_leak",
    title="{application} leaks connections: {unused} of its {sessions} are held and not used",
    category="resource_exhaustion",
    subjects=subjects,
    predicts=(
        Sign(check="postgres.connections_by_application", says=unused),
        Sign(
            check="postgres.connections_by_application",
            says=opens_more,
        ),
        Sign(check="postgres.connections", says=bad, settles="whether connections run out"),
    ),
    contradicts=(Sign(check="postgres.connections_by_application", says=waits_for_locks),),
    explains={"connections_exhausted": same_source},
    mitigations=mitigations,
)
