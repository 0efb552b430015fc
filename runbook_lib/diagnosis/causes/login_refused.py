"""Our own login is refused. The database may well be healthy: we cannot see."""

from runbook_lib.diagnosis.rules import Cause, Sign, Subject, outcomes
from runbook_lib.model import Finding


def refused(finding: Finding, _subject: Subject) -> str:
    return finding.summary


CAUSE = Cause(
    id="login_refused",
    title="{source} refuses our login or its encryption ({outcome}); how it fares is not known",
    category="configuration_error",
    subjects=lambda findings: outcomes("auth", "tls", "forbidden", "not_found")(findings, "postgres.reachability"),
    predicts=(
        Sign(check="postgres.reachability", says=refused),
        Sign(
            check="postgres.connections", says=lambda _f, _s: "", settles="what the database says once the login works"
        ),
    ),
)
