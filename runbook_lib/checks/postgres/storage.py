"""Sizes and replicas."""

from runbook_lib.checks.base import Judgement, check, graded, measured, rows
from runbook_lib.model import Evidence, Status
from runbook_lib.window import spoken

GIB = 2**30


@check
def sizes(
    evidence: Evidence, *, warn_age: int = 1_000_000_000, critical_age: int = 1_800_000_000, dead_share: float = 0.4
) -> Judgement:
    """Sizes, rows that vacuum has not cleared, and the age of the oldest transaction (writes stop at 2^31)."""
    found = rows(evidence)
    age = max((r["oldest_transaction_age"] or 0 for r in found), default=0)
    bloated = [r for r in found if (r["dead_rows"] or 0) > 100_000 and r["dead_rows"] >= dead_share * r["live_rows"]]
    total = next((r["total_bytes"] for r in found if r["kind"] == "database"), 0)
    largest = next((r for r in found if r["kind"] == "table"), None)
    summary = f"{total / GIB:.2f} GiB"
    summary += (
        f", the largest table is {largest['name']} with {largest['total_bytes'] / GIB:.2f} GiB" if largest else ""
    )
    summary += f", oldest transaction {age:,} back (warn at {warn_age:,})"
    if bloated:
        summary += "; more dead rows than vacuum keeps up with: " + ", ".join(r["name"] for r in bloated[:3])
    status = max((graded(age, warn_age, critical_age), Status.WARN if bloated else Status.OK), key=list(Status).index)
    return Judgement(status, summary, measured(age, "transactions", warn_age, bytes=total))


@check
def replication(
    evidence: Evidence,
    *,
    warn_seconds: float = 30.0,
    critical_seconds: float = 300.0,
    warn_bytes: float = 5 * GIB,
    replicas: int = 0,
) -> Judgement:
    """How far replicas are behind, and how much an inactive slot holds back; `replicas` is how many there should be."""
    found = rows(evidence)
    following = sum(r["kind"] == "replica" for r in found)
    if following < replicas:
        return Judgement(Status.CRITICAL, f"{following} of {replicas} replicas follow")
    if any(r["kind"] == "replay" and r["lag_bytes"] is None for r in found):
        return Judgement(Status.UNKNOWN, "this standby receives no stream, so how far it is behind is not known")
    if not found:
        return Judgement(Status.OK, "no replicas and no slots", measured(0, "s behind", warn_seconds))
    lag = max((r["lag_seconds"] or 0.0 for r in found if r["kind"] != "slot" and r["lag_bytes"]), default=0.0)
    held = [r for r in found if r["kind"] == "slot" and not r["active"] and (r["lag_bytes"] or 0) >= warn_bytes]
    lost = [r["name"] for r in found if r["wal_status"] in ("unreserved", "lost")]
    summary = f"{len(found)} replicas and slots, at most {spoken(lag)} behind (warn at {warn_seconds:g} s)"
    summary += f"; inactive slots hold WAL back: {', '.join(r['name'] for r in held)}" if held else ""
    summary += f"; slots that lost their WAL: {', '.join(lost)}" if lost else ""
    status = graded(lag, warn_seconds, critical_seconds)
    return Judgement(
        Status.WARN if status is Status.OK and (held or lost) else status,
        summary,
        measured(lag, "s behind", warn_seconds),
    )
