"""Redis and Valkey."""

from runbook_lib.checks.base import (
    OURS,
    Judgement,
    change,
    check,
    check_of_outcomes,
    graded,
    measured,
    rows,
    unanswered,
)
from runbook_lib.model import Evidence, Outcome, Status

MIB = 2**20


@check_of_outcomes
def reachability(evidence: Evidence) -> Judgement:
    """Whether it answers, or how it refuses."""
    if evidence.outcome in OURS:
        return Judgement(Status.UNKNOWN, unanswered(evidence))
    if evidence.outcome is not Outcome.ANSWERED:
        return Judgement(Status.CRITICAL, f"Redis does not serve us: {unanswered(evidence)}")
    (server,) = rows(evidence)
    if server["loading"]:
        return Judgement(Status.CRITICAL, "Redis is still loading its data")
    return Judgement(Status.OK, f"Redis {server['redis_version']} answers as {server['role']}")


@check
def memory(evidence: Evidence, *, warn: float = 0.8, critical: float = 0.95) -> Judgement:
    """Memory against maxmemory. Redis' own advice is to keep head room for fragmentation and copy on write."""
    (row,) = rows(evidence)
    if not row["maxmemory"]:
        return Judgement(Status.OK, f"{row['used_memory'] / MIB:.0f} MiB used, no limit set")
    share = row["used_memory"] / row["maxmemory"]
    summary = (
        f"{row['used_memory'] / MIB:.0f} of {row['maxmemory'] / MIB:.0f} MiB used ({share:.0%}; warn at {warn:.0%}), "
        f"policy {row['maxmemory_policy']}"
    )
    return Judgement(graded(share, warn, critical), summary, measured(share, "of maxmemory", warn))


@check
def evictions(evidence: Evidence, *, warn_per_second: float = 1.0, critical_per_second: float = 1000.0) -> Judgement:
    """Keys thrown out per second between the two samples."""
    seconds, grown = change(evidence, (), ("evicted_keys", "keyspace_hits", "keyspace_misses", "rejected_connections"))
    (row,) = grown
    rate = row["evicted_keys"] / seconds
    asked = row["keyspace_hits"] + row["keyspace_misses"]
    found = f", {row['keyspace_hits'] / asked:.0%} of {asked} look-ups found their key" if asked else ""
    summary = f"{rate:.1f} keys evicted per second (warn at {warn_per_second:g}){found}"
    facts = measured(rate, "keys/s", warn_per_second)
    return Judgement(graded(rate, warn_per_second, critical_per_second), summary, facts)


@check
def clients(evidence: Evidence, *, warn: float = 0.8, critical: float = 0.95) -> Judgement:
    """Clients against maxclients. Blocked ones are named: a worker that waits for a job is one, and healthy."""
    (row,) = rows(evidence)
    share = row["connected_clients"] / row["maxclients"]
    summary = (
        f"{row['connected_clients']} of {row['maxclients']} clients ({share:.0%}; warn at {warn:.0%}), "
        f"{row['blocked_clients']} waiting in a blocking command"
    )
    return Judgement(graded(share, warn, critical), summary, measured(share, "of maxclients", warn))


@check
def slow_log(
    evidence: Evidence, *, warn_ms: float = 100.0, critical_ms: float = 1000.0, within: float = 600
) -> Judgement:
    """The slowest command of the last `within` seconds; while it ran, nobody else was served."""
    oldest = evidence.observed_at.timestamp() - within
    recent = [r for r in rows(evidence) if r["start_time"] >= oldest]
    if not recent:
        return Judgement(Status.OK, f"no command in the slow log of the last {within / 60:g} min")
    worst = max(recent, key=lambda r: int(r["duration_us"]))
    ms = worst["duration_us"] / 1000
    summary = (
        f"{len(recent)} slow commands in {within / 60:g} min, the slowest took {ms:.0f} ms (warn at {warn_ms:g} ms)"
    )
    facts = measured(ms, "ms", warn_ms, command=str(worst["command"])[:80])
    return Judgement(graded(ms, warn_ms, critical_ms), summary, facts)


@check
def list_lengths(evidence: Evidence, *, warn: int = 1000, critical: int = 10000) -> Judgement:
    """How long the job lists are, and whether they grew between the two samples."""
    first = {r["key"]: r["length"] for r in rows(evidence) if r["sample"] == 0}
    lists = [r for r in rows(evidence) if r["sample"] == 1]
    if not lists:
        return Judgement(Status.UNKNOWN, "the profile names no job lists: say which under `lists`")
    longest = max(lists, key=lambda r: int(r["length"]))
    grows = (longest["length"] - first[longest["key"]]) / max(evidence.took.total_seconds(), 1e-3)
    name, length = longest["key"], longest["length"]
    summary = f"longest job list {name}: {length} jobs (warn at {warn}), changing by {grows:+.1f} per second"
    facts = measured(longest["length"], "jobs", warn, key=longest["key"], growth=grows)
    return Judgement(graded(longest["length"], warn, critical), summary, facts)
