"""Redis takes no connections, or nothing comes back from it."""

from runbook_lib.diagnosis.rules import Cause, Sign, bad, endpoints_fail, outcomes

CAUSE = Cause(
    id="redis_down",
    title="{source} does not serve: {outcome}",
    category="infrastructure",
    subjects=lambda findings: outcomes("refused", "timed_out", "dns", "starting")(findings, "redis.reachability"),
    predicts=(
        Sign(check="redis.reachability", says=bad),
        Sign(check="http.health", says=endpoints_fail, elsewhere=True),
    ),
)
