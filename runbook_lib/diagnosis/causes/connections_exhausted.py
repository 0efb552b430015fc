"""The server has no connection left; who took them is not known (else it is that one's cause)."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject, bad
from runbook_lib.model import Finding


def subjects(findings: Findings) -> list[Subject]:
    full = [f for f in findings.of("postgres.connections") if bad(f, {})]
    shut_out = [f for f in findings.of("postgres.reachability") if f.facts.get("outcome") == "exhausted"]
    return [{"source": source} for source in dict.fromkeys(f.source for f in full + shut_out)]


def shut_out(finding: Finding, _subject: Subject) -> str:
    return finding.summary if finding.facts.get("outcome") == "exhausted" else ""


CAUSE = Cause(
    id="connections_exhausted",
    title="{source} has no connections left",
    category="resource_exhaustion",
    subjects=subjects,
    predicts=(
        Sign(check="postgres.reachability", says=shut_out),
        Sign(check="postgres.connections", says=bad, settles="how many connections are used, and in which state"),
        Sign(
            check="postgres.connections_by_application",
            says=bad,
            settles="which application holds the connections (log in as a role with pg_use_reserved_connections)",
        ),
    ),
)
