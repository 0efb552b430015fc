"""HTTP endpoints."""

from runbook_lib.checks.base import Judgement, Row, check, rows
from runbook_lib.model import Evidence, Status


@check
def health(
    evidence: Evidence, *, slow_ms: float = 1000.0, warn_days: float = 21.0, critical_days: float = 7.0
) -> Judgement:
    """Whether every endpoint answers with 2xx or 3xx, under `slow_ms`, with a certificate that lasts.

    Below `slow_ms` latency is not judged: one request from one place is noise.
    """
    endpoints = rows(evidence)
    if not endpoints:
        return Judgement(Status.UNKNOWN, "the profile names no endpoints")
    wrong = {r["endpoint"]: _wrong(r) for r in endpoints if _wrong(r)}
    concerns = {r["endpoint"]: _concern(r, slow_ms, warn_days) for r in endpoints}
    concerns = {name: text for name, text in concerns.items() if text and name not in wrong}
    expiring = [r["endpoint"] for r in endpoints if (r["tls_days_left"] or warn_days) < critical_days]
    facts = {
        "failing": wrong,
        "concerns": concerns,
        "expiring": expiring,
        "value": len(wrong),
        "unit": "failing endpoints",
    }
    if wrong or expiring:
        texts = "; ".join(f"{name} {text}" for name, text in {**wrong, **concerns}.items())
        fail = f"{len(wrong)} of {len(endpoints)} endpoints fail: " if wrong else ""
        return Judgement(Status.CRITICAL, fail + texts, facts)
    if concerns:
        return Judgement(Status.WARN, "; ".join(f"{name} {text}" for name, text in concerns.items()), facts)
    slowest = max((r["latency_ms"] or 0.0 for r in endpoints), default=0.0)
    return Judgement(Status.OK, f"all {len(endpoints)} endpoints answer, the slowest in {slowest:.0f} ms", facts)


def _wrong(row: Row) -> str:
    if row["outcome"] != "answered":
        return f"{str(row['outcome']).replace('_', ' ')}" + (f" ({row['reason'][:120]})" if row["reason"] else "")
    return f"answers {row['status']}" if row["status"] >= 400 else ""


def _concern(row: Row, slow_ms: float, warn_days: float) -> str:
    if row["tls_days_left"] is not None and row["tls_days_left"] < warn_days:
        return f"certificate ends in {row['tls_days_left']:.0f} days"
    if (row["latency_ms"] or 0.0) >= slow_ms:
        return f"took {row['latency_ms']:.0f} ms (slow from {slow_ms:g} ms)"
    return ""
