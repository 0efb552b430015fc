"""Create a missing index concurrently: nobody waits for it, and it can be dropped again."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from runbook_lib.drivers.postgres import change, quoted
from runbook_lib.errors import DriverError, PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Permission, Plan
from runbook_lib.mitigations.postgres._sql import LOCK_SECONDS, LONGEST, Connection, execute, read
from runbook_lib.model import Json, Outcome

__all__ = ["CHECKS", "LONGEST", "SYMPTOMS", "apply", "calls", "clean_up", "permissions", "plan", "still_holds", "undo"]

SYMPTOMS = ("postgres.sequential_scans", "postgres.statements", "postgres.long_queries")
CHECKS = ("postgres.reachability", *SYMPTOMS, "postgres.indexes", "postgres.blocking_tree")
LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts longer names off, and then they are those of something else."""
MOST_COLUMNS = 32
TABLE = """
SELECT c.oid::int8, c.relkind::text, c.relpersistence::text,
       CASE WHEN c.reltuples < 0 THEN pg_stat_get_live_tuples(c.oid) ELSE c.reltuples::int8 END, pg_table_size(c.oid),
       (SELECT array_agg(a.attname::text) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT count(*) FROM pg_locks l WHERE l.relation = c.oid AND l.granted AND l.pid <> pg_backend_pid())
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
"""
# Partial indexes and expressions do not serve every comparison of these columns, so they do not count.
LEADING = """
SELECT c.relname::text
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %(oid)s AND i.indisvalid AND i.indpred IS NULL
  AND (SELECT array_agg(a.attname::text ORDER BY k.ord)
       FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, ord)
       LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
       WHERE k.ord <= least(cardinality(%(columns)s::text[]), i.indnkeyatts)) = %(columns)s::text[]
"""
NAMED = """
SELECT c.relkind::text, i.indisvalid, i.indrelid::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname = %(schema)s AND c.relname = %(index)s
"""
MAY = """
SELECT pg_has_role(%(actor)s, c.relowner, 'usage'), c.relowner::regrole::text,
       has_schema_privilege(%(actor)s, n.oid, 'create'), n.nspname::regnamespace::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %(oid)s
"""


def plan(connection: Connection, arguments: Mapping[str, Json], actor: str) -> Draft:  # noqa: ARG001
    """`arguments`: schema, table, columns in order. Raises PlanRefusedError where it cannot or need not be made."""
    schema, table = name_of(arguments["schema"]), name_of(arguments["table"])
    columns = [name_of(c) for c in arguments["columns"]]
    oid, rows, size, locks = _table(connection, schema, table, columns)
    preconditions = {"schema": schema, "table": table, "columns": columns, "oid": oid}
    preconditions["index"] = index_name(table, columns)  # for whoever reads the plan
    obstacle = _obstacle(connection, preconditions)
    if obstacle:
        raise PlanRefusedError(obstacle)
    where = f"{schema}.{table} ({', '.join(columns)})"
    return Draft(
        title=f"Create an index on {where}, concurrently",
        present=f"{schema}.{table} has about {rows:,} rows in {size / 2**20:.0f} MiB, and no valid index leads with "
        f"{', '.join(columns)}",
        preconditions=preconditions,
        dry_run="hypothetical: the server has this table with these columns, and the name of the index is free",
        blast_radius=f"1 new index on 1 table, which is read twice ({2 * size / 2**20:.0f} MiB); reads and writes go "
        f"on; it waits for the transactions that use the table (locks held on it now: {locks})",
        expected="statements that compare these columns read only their rows, as soon as the index is valid",
    )


def name_of(value: Json) -> str:
    """A name as PostgreSQL can have it. Raises PlanRefusedError for one that it would cut off or cannot store."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise PlanRefusedError(f"{value!r} is no name of a schema, table or column")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise PlanRefusedError(f"{value!r} is no text that PostgreSQL can hold") from error
    if size > LONGEST_NAME:
        raise PlanRefusedError(f"{value!r} has {size} bytes; PostgreSQL's names have at most {LONGEST_NAME}")
    return value


def index_name(table: str, columns: list[str]) -> str:
    """Always the same for the same columns, whatever is in their names: `runbook_orders_customer_id_1f0a9c3b`."""
    digest = hashlib.sha256("\0".join([table, *columns]).encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9_]+", "_", "_".join([table, *columns]).lower())
    return f"runbook_{readable[:44]}_{digest}"


def _table(connection: Connection, schema: str, table: str, columns: list[str]) -> tuple[Any, ...]:
    found = read(connection, TABLE, schema=schema, table=table)
    if not found:
        raise PlanRefusedError(f"there is no table {table!r} in schema {schema!r}")
    oid, kind, persistence, rows, size, present, locks = found[0]
    if kind != "r" or persistence == "t":
        raise PlanRefusedError(f"{schema}.{table} is no ordinary table; an index can be built concurrently only on one")
    unknown = [c for c in columns if c not in (present or [])]
    if unknown or not columns or len(set(columns)) < len(columns) or len(columns) > MOST_COLUMNS:
        raise PlanRefusedError(f"{schema}.{table} has no columns {', '.join(map(repr, unknown or columns))} to index")
    return oid, rows, size, locks


def _obstacle(connection: Connection, wanted: Mapping[str, Json]) -> str:
    """Why the index is not to be made; empty where it is."""
    leading = read(connection, LEADING, oid=wanted["oid"], columns=wanted["columns"])
    if leading:
        return f"index {leading[0][0]} leads with these columns already"
    named = read(connection, NAMED, schema=wanted["schema"], index=_index(wanted))
    if not named:
        return ""
    if named[0][1] is False:
        return f"an earlier build left {_index(wanted)} invalid: drop it first ({undo(wanted)[0]})"
    return f"the name {_index(wanted)} is taken"


def permissions(connection: Connection, preconditions: Mapping[str, Json], actor: str) -> tuple[Permission, ...]:
    found = read(connection, MAY, actor=actor, oid=preconditions["oid"])
    if not found:
        raise PlanRefusedError(f"table {preconditions['table']} is gone")
    owns, owner, creates, schema = found[0]
    return (
        Permission(what=f"GRANT {owner} TO {actor} (the owner of the table)", held=owns),
        Permission(what=f"GRANT CREATE ON SCHEMA {schema} TO {actor}", held=creates),
    )


def _index(preconditions: Mapping[str, Json]) -> str:
    """Made anew, not read: a plan written by hand cannot have another index dropped."""
    return index_name(preconditions["table"], preconditions["columns"])


def _quoted(*names: str) -> str:
    return quoted(*map(name_of, names))


def calls(preconditions: Mapping[str, Json]) -> tuple[str, ...]:
    table = _quoted(preconditions["schema"], preconditions["table"])
    columns = ", ".join(map(_quoted, preconditions["columns"]))
    return (f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {_quoted(_index(preconditions))} ON {table} ({columns});",)


def undo(preconditions: Mapping[str, Json]) -> tuple[str, ...]:
    return (f"DROP INDEX CONCURRENTLY IF EXISTS {_quoted(preconditions['schema'], _index(preconditions))};",)


def still_holds(connection: Connection, plan: Plan) -> str:
    wanted = plan.preconditions
    try:
        oid, *_ = _table(connection, wanted["schema"], wanted["table"], wanted["columns"])
    except PlanRefusedError as error:
        return str(error)
    return _obstacle(connection, wanted) if oid == wanted["oid"] else f"table {wanted['table']} is another one now"


def apply(connection: Connection, plan: Plan, call: str) -> str:
    """Builds the index. Raises DriverError also where the server ended well without a valid index."""
    change(connection, call, seconds=LONGEST, lock_seconds=LOCK_SECONDS)
    wanted = plan.preconditions
    named = read(connection, NAMED, schema=wanted["schema"], index=_index(wanted))
    if not named or not named[0][1] or named[0][2] != wanted["oid"]:
        raise DriverError(Outcome.FAILED, f"{_index(wanted)} is not there as a valid index of {wanted['table']}")
    return f"{_index(wanted)} is valid"


def clean_up(connection: Connection, plan: Plan) -> str:
    """Drops what a failed build left invalid: it would be written to and never read."""
    wanted = plan.preconditions
    named = read(connection, NAMED, schema=wanted["schema"], index=_index(wanted))
    if not named or named[0][1] is not False:
        return "nothing"
    execute(connection, undo(wanted)[0])
    return f"the invalid {_index(wanted)} was dropped"
