"""The database is down: nothing listens where it should."""

from runbook_lib.diagnosis.rules import Cause, Sign, bad, endpoints_fail, outcomes

CAUSE = Cause(
    id="database_down",
    title="{source} does not take connections: {outcome}",
    category="infrastructure",
    subjects=lambda findings: outcomes("refused")(findings, "postgres.reachability"),
    predicts=(
        Sign(check="postgres.reachability", says=bad),
        Sign(check="http.health", says=endpoints_fail, elsewhere=True),
    ),
)
