"""Nothing comes back from the database, not even a refusal."""

from runbook_lib.diagnosis.rules import Cause, Sign, bad, endpoints_fail, outcomes

CAUSE = Cause(
    id="database_unreachable",
    title="{source} cannot be reached: {outcome}",
    category="infrastructure",
    subjects=lambda findings: outcomes("timed_out", "dns")(findings, "postgres.reachability"),
    predicts=(
        Sign(check="postgres.reachability", says=bad),
        Sign(check="http.health", says=endpoints_fail, elsewhere=True),
    ),
)
