"""The database is on its way up or down."""

from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject, bad, endpoints_fail, outcomes


def subjects(findings: Findings) -> list[Subject]:
    """A server that says so while it refuses us, and one that lets us in but takes no writes."""
    answering = [f for f in findings.of("postgres.reachability") if f.facts.get("in_recovery") and bad(f, {})]
    recovering: list[Subject] = [{"source": f.source, "outcome": "in recovery"} for f in answering]
    return [*outcomes("starting")(findings, "postgres.reachability"), *recovering]


CAUSE = Cause(
    id="database_starting",
    title="{source} is starting, stopping or recovering, and serves nobody yet",
    category="infrastructure",
    subjects=subjects,
    predicts=(
        Sign(check="postgres.reachability", says=bad),
        Sign(check="http.health", says=endpoints_fail, elsewhere=True),
    ),
)
