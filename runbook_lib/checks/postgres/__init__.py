"""PostgreSQL. Thresholds are arguments, so that a profile can set its own."""

from runbook_lib.checks.postgres.load import cache_hits, indexes, sequential_scans, statements
from runbook_lib.checks.postgres.locks import blocking_tree, idle_in_transaction, long_queries, ungranted_locks
from runbook_lib.checks.postgres.sessions import (
    connection_starts,
    connections,
    connections_by_application,
    reachability,
)
from runbook_lib.checks.postgres.storage import replication, sizes

__all__ = [
    "blocking_tree",
    "cache_hits",
    "connection_starts",
    "connections",
    "connections_by_application",
    "idle_in_transaction",
    "indexes",
    "long_queries",
    "reachability",
    "replication",
    "sequential_scans",
    "sizes",
    "statements",
    "ungranted_locks",
]
