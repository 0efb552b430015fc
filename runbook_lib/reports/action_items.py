"""What to do so that it does not happen again, by cause: texts as data, in one place."""

from collections.abc import Iterable, Mapping, Sequence

from runbook_lib.model import Json
from runbook_lib.text import clean

Pair = tuple[str, str]
"""What to do, and why. Names in braces are facts of the verdict's subject."""


class _Known(dict[str, Json]):
    """A subject that lacks a name leaves the item readable."""

    def __missing__(self, name: str) -> str:
        return NAMELESS.get(name, f"(the {name})")


NAMELESS = {"application": "the application", "table": "the table", "source": "the database", "column": "the column"}
BY_CAUSE: Mapping[str, Sequence[Pair]] = {
    "connection_leak": (
        (
            "Fix the leak in {application}: give every connection back on every path, also after an error",
            "terminating its sessions frees them once; the leak goes on",
        ),
        (
            "Limit the pool of {application} and let it time out when it waits for a connection",
            "one application must not use up what all share; a bounded pool fails alone and says why",
        ),
        (
            "Set a connection limit for the role of {application} (ALTER ROLE ... CONNECTION LIMIT) on {source}",
            "the server holds the line where a client does not",
        ),
        ("Alert at 80 % of max_connections on {source}", "a leak is slow; it can be seen long before it hurts"),
        (
            "Set idle_session_timeout for the role of {application} where its driver copes with it",
            "the server then takes back what is never used",
        ),
    ),
    "connections_exhausted": (
        ("Alert at 80 % of max_connections on {source}", "it was noticed when the last connection was gone"),
        (
            "Add up the pool sizes of all applications against max_connections of {source}",
            "together they must fit, with room for deployments and for people",
        ),
        ("Keep reserved_connections for diagnosis on {source}", "whoever looks must get in when nobody else does"),
        ("Decide on a connection pooler in front of {source}", "many short clients need few server sessions"),
    ),
    "lock_held": (
        (
            "Make the transaction of {application} that locks {table} short; nothing in it waits for others",
            "every session that wants the same rows waits as long as the transaction is open",
        ),
        (
            "Set lock_timeout for the roles that write to {table}",
            "a waiter that gives up early keeps its connection free, and says so",
        ),
        (
            "Set idle_in_transaction_session_timeout for the role of {application}",
            "a session that holds locks and does nothing is ended by the server",
        ),
        ("Alert when a session waits for a lock for more than 10 s on {source}", "the queue grows with every second"),
        (
            "Take explicit table locks and migrations of {table} out of busy hours",
            "one strong lock stops all who come after it",
        ),
    ),
    "idle_in_transaction": (
        (
            "Find where {application} begins a transaction and does not end it; commit or roll back on every path",
            "ended sessions come back with the next request",
        ),
        (
            "Set idle_in_transaction_session_timeout for the role of {application} on {source}",
            "the server ends what was forgotten, before it holds back others and vacuum",
        ),
        ("Alert on transactions that are idle for more than 60 s on {source}", "they can be seen before anyone waits"),
    ),
    "missing_index": (
        (
            "Put the index on {table} ({column}) into the migrations of the application",
            "an index that was made by hand is lost with the next rebuild",
        ),
        ("Find out how the index on {table} was lost or never made", "the next environment has the same gap"),
        (
            "Check query plans against production-like row counts before a release",
            "a sequential scan does not hurt on a small table",
        ),
        (
            "Alert on the mean time of the slowest statements on {source}",
            "latency told of it later than the database knew",
        ),
    ),
    "long_running_query": (
        ("Rewrite or split the statement of {application} that ran for long", "it takes as long again the next time"),
        (
            "Set statement_timeout for the role of {application}",
            "a statement that nobody waits for any more ends by itself",
        ),
        ("Run reports on a replica", "they then take nothing from those who serve requests"),
    ),
    "database_down": (
        (
            "Find out why {source} stopped: its log, the host, memory, disk",
            "what was seen says that it is down, not why",
        ),
        ("Have {source} restarted and supervised by the platform", "it stayed down until somebody looked"),
        ("Rehearse the fail-over of {source} and note how long it takes", "the first time must not be in an incident"),
        ("Let the applications answer without {source} where they can", "a page that says sorry beats a time-out"),
    ),
    "database_starting": (
        ("Find out what restarted {source}", "it came back by itself; the cause did not go away"),
        ("Let clients of {source} retry with growing pauses", "a restart then costs seconds, not errors"),
    ),
    "database_unreachable": (
        (
            "Find out what lies between: network policy, firewall, DNS, routes to {source}",
            "it was not refused; it was silent",
        ),
        ("Watch the path to {source} from where the applications run", "from elsewhere it may look well"),
        ("Set connect time-outs in all clients of {source}", "without them each request waits for the network"),
    ),
    "login_refused": (
        (
            "Mend the credentials or the TLS settings for {source}, and note who changes them",
            "nobody could look inside",
        ),
        (
            "Rehearse the rotation of the credentials of {source}",
            "a rotation must reach readers and applications alike",
        ),
        ("Alert on failed logins on {source}", "the server knew first"),
    ),
    "redis_down": (
        ("Find out why {source} stopped: its log, memory, the host", "what was seen says that it is down, not why"),
        (
            "Let jobs wait and requests go on without {source} where they can",
            "a cache must not be a single point of failure",
        ),
    ),
}
NO_ANSWER = ("database_down", "database_starting", "database_unreachable", "login_refused", "redis_down")
"""Causes that are themselves the reason why a source answers nothing."""
NO_CAUSE: Sequence[Pair] = (
    ("Find the cause: ask what the verdict names as what would settle it", "what is not understood comes back"),
    ("Write the cause into the catalogue once it is known, with a drill", "the next one on call finds it in a minute"),
)
ALWAYS: Sequence[Pair] = (
    ("Add this incident to the drills if no drill covers it", "a mitigation that is not rehearsed is a hope"),
)


GENERIC: Mapping[str, Pair] = {
    "unanswered": ("Mend the access to {}", "it could not be asked when it mattered"),
    "escalated to": ("Write down what {} did, as a runbook or a mitigation", "nothing of ours fitted"),
    "did not help": ("Review the mitigation that did not help: {}", "it changed production without a proven effect"),
    "not measured": ("Measure it next time: {}", "what it suffered was not measured"),
}
"""By what got in the way; the braces take its name."""


def propose(cause: str, subject: Mapping[str, Json], hindrances: Mapping[str, Iterable[str]]) -> list[Pair]:
    """Concrete items for the cause and for what got in the way; unknown causes get those for finding it."""
    known = _Known({k: clean(v, 80) for k, v in subject.items() if v is not None and not isinstance(v, dict | list)})
    texts = BY_CAUSE.get(cause, () if cause == "healthy" else NO_CAUSE)
    items = [(action.format_map(known), why.format_map(known)) for action, why in texts]
    for kind, (action, why) in GENERIC.items():
        items += [(action.format(clean(name, 160)), why) for name in dict.fromkeys(hindrances.get(kind, ()))]
    return [*items, *ALWAYS]
