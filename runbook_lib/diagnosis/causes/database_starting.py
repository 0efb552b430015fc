"""The database is on its way up or down."""

from runbook_lib.diagnosis.rules import Cause, Sign, bad, endpoints_fail, outcomes

CAUSE = Cause(
    id="database_starting",
    title="{source} is starting, stopping or recovering, and serves nobody yet",
    category="infrastructure",
    subjects=lambda findings: outcomes("starting")(findings, "postgres.reachability"),
    predicts=(
        Sign(check="postgres.reachability", says=bad),
        Sign(check="http.health", says=endpoints_fail, elsewhere=True),
    ),
)
