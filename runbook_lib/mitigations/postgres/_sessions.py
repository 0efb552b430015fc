"""What terminating and cancelling sessions share."""

from collections.abc import Mapping, Sequence
from typing import Any

from runbook_lib.drivers import postgres
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Plan
from runbook_lib.model import Json
from runbook_lib.profile import Source

SECONDS = 5.0
FOUND = """
SELECT pid, backend_start::text, coalesce(application_name, ''), coalesce(usename::text, ''), coalesce(state, ''),
       left(coalesce(query, ''), 200)
FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'runbook/%%'
  AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = usesysid AND r.rolsuper)
"""
STILL = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = ANY(%(pids)s)"
HELD = """
SELECT pg_has_role(%(actor)s, 'pg_signal_backend', 'member')
"""


def draft(
    source: Source,
    found: Sequence[tuple[Any, ...]],
    connection: postgres.Connection,
    *,
    kind: str,
    function: str,
    expected: str,
    irreversible: str,
    condition: str = "",
) -> Draft:
    """A plan that calls `function` on each session, by pid and start, so that a pid used anew is never hit."""
    if not found:
        raise PlanRefusedError("none of the sessions is there any more, or none may be ended")
    applications = sorted({row[2] or "(no name)" for row in found})
    verb = {"pg_terminate_backend": "Terminate", "pg_cancel_backend": "Cancel"}[function]
    calls = [
        f"SELECT {function}(pid) FROM pg_stat_activity"  # noqa: S608 - every part is ours or the server's
        f" WHERE pid = {int(pid)} AND backend_start = '{start}'{condition}"
        for pid, start, *_ in found
    ]
    pids = ", ".join(str(row[0]) for row in found[:8]) + (", ..." if len(found) > 8 else "")
    many = f"{len(found)} session{'s' if len(found) > 1 else ''} of {', '.join(applications)}"
    return Draft(
        kind=kind,
        target=postgres.identify(connection, source, SECONDS),
        title=f"{verb} {many} (pid {pids})",
        present="; ".join(f"pid {r[0]} {r[4]}: {' '.join(r[5].split())}" for r in found[:3]),
        calls=tuple(calls),
        preconditions={"sessions": [[int(row[0]), row[1]] for row in found]},
        permissions=permission(connection, source),
        dry_run=f"the server has {len(found)} such sessions now",
        blast_radius=f"{many}; nobody else",
        expected=expected,
        undo=(),
        irreversible=irreversible,
    )


def permission(connection: postgres.Connection, source: Source) -> tuple[tuple[str, bool], ...]:
    """Asked of the server about the actor's role, without logging in as the actor."""
    actor = source.parse(postgres.Settings).actor
    if actor is None:
        return (("an actor (the profile names none for this source)", False),)
    with postgres.read_only(connection, SECONDS) as cursor:
        (row,) = postgres.rows(cursor, HELD, {"actor": actor.user}, 1)
    return ((f"membership of {actor.user} in pg_signal_backend", bool(row[0])),)


def named(connection: postgres.Connection, sessions: Sequence[Mapping[str, Json]]) -> list[tuple[Any, ...]]:
    """Those of the named sessions (pid, backend_start) that are still the same ones."""
    pairs = {int(s["pid"]) for s in sessions}
    with postgres.read_only(connection, SECONDS) as cursor:
        rows = postgres.rows(cursor, FOUND + " AND pid = ANY(%(pids)s)", {"pids": sorted(pairs)}, 1000)
    wanted = {(int(s["pid"]), postgres.moment(str(s["backend_start"]))) for s in sessions}
    return [r for r in rows if (r[0], postgres.moment(r[1])) in wanted]


def broken(connection: postgres.Connection, plan: Plan) -> str:
    """Empty while at least one of the sessions is the same as when it was planned; the calls pass over the others."""
    wanted = {(int(pid), postgres.moment(start)) for pid, start in plan.preconditions["sessions"]}
    with postgres.read_only(connection, SECONDS) as cursor:
        rows = postgres.rows(cursor, STILL, {"pids": [pid for pid, _ in wanted]}, 1000)
    there = {(row[0], postgres.moment(row[1])) for row in rows}
    if wanted & there:
        return ""
    return f"none of its {len(wanted)} sessions is there any more (pid {min(wanted)[0]}: gone, or another session now)"


def run(connection: postgres.Connection, call: str) -> str:
    """Executes one call; says what the server said."""
    rows = postgres.change(connection, call, seconds=SECONDS)
    return "ended" if rows and rows[0][0] else "was gone already"
