"""Create a missing index concurrently: nobody waits for it, and it can be dropped again."""

import hashlib
from collections.abc import Mapping

from runbook_lib.drivers import postgres
from runbook_lib.errors import DriverError, PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Plan
from runbook_lib.model import Json
from runbook_lib.profile import Source

SECONDS = 5.0
BUILD_SECONDS = 600.0
LONGEST_NAME = 63
TABLE = """
SELECT c.oid::int8, c.reltuples::int8, pg_relation_size(c.oid),
       pg_has_role(%(actor)s, c.relowner, 'usage'),
       has_schema_privilege(%(actor)s, n.oid, 'create'),
       (SELECT count(*) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = ANY(%(columns)s) AND NOT a.attisdropped AND a.attnum > 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind = 'r'
"""
LEADING = """
SELECT c.relname::text
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %(schema)s AND t.relname = %(table)s AND i.indisvalid
  AND (SELECT array_agg(a.attname::text ORDER BY k.ord)
       FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, ord)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
       WHERE k.ord <= cardinality(%(columns)s::text[])) = %(columns)s::text[]
"""


def plan(source: Source, arguments: Mapping[str, Json], *, label: str) -> Draft:
    """`arguments`: schema, table, columns in order. Raises PlanRefusedError where there is no such table or column."""
    schema, table, columns = str(arguments["schema"]), str(arguments["table"]), [str(c) for c in arguments["columns"]]
    actor = source.parse(postgres.Settings).actor
    given = {"schema": schema, "table": table, "columns": columns, "actor": actor.user if actor else ""}
    with postgres.reading(source, application_name=label, seconds=SECONDS) as connection:
        target = postgres.identify(connection, source, SECONDS)
        with postgres.read_only(connection, SECONDS) as cursor:
            found = postgres.rows(cursor, TABLE, given, 1) if actor else []
            covering = postgres.rows(cursor, LEADING, {k: given[k] for k in ("schema", "table", "columns")}, 1)
    if actor is None:
        raise PlanRefusedError(f"the profile names no actor for {source.name}")
    if not found or found[0][5] != len(columns):
        raise PlanRefusedError(f"there is no table {schema}.{table} with columns {', '.join(columns)}")
    if covering:
        raise PlanRefusedError(f"index {covering[0][0]} begins with these columns already")
    oid, rows, size, owner, may_create, _ = found[0]
    name = index_name(table, columns)
    where = postgres.quoted(schema, table)
    create = (
        f"CREATE INDEX CONCURRENTLY {postgres.quoted(name)} ON {where} ({', '.join(map(postgres.quoted, columns))})"
    )
    return Draft(
        kind="postgres.create_index",
        target=target,
        title=f"Create an index on {table} ({', '.join(columns)}), concurrently",
        present=f"{table}: {rows:,} rows in {size / 2**20:.0f} MiB, and no valid index begins with these columns",
        calls=(create,),
        preconditions={"schema": schema, "table": table, "columns": columns, "oid": oid, "index": name},
        permissions=(
            (f"{actor.user} owns {table}", bool(owner)),
            (f"{actor.user} may create in schema {schema}", bool(may_create)),
        ),
        dry_run="table and columns are there, no other index covers them",
        blast_radius=f"one new index on {table}; reads and writes go on while it is built, with more load on the disk",
        expected="the statement reads its own rows only; its mean time falls as soon as the index is valid",
        undo=(f"DROP INDEX CONCURRENTLY IF EXISTS {postgres.quoted(schema, name)}",),
    )


def index_name(table: str, columns: list[str]) -> str:
    """`<table>_<columns>_idx`, always the same for the same columns; a long one ends in a hash."""
    name = f"{table}_{'_'.join(columns)}_idx"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return name.encode()[: LONGEST_NAME - 15].decode("utf-8", "ignore") + f"_{digest}_idx"


def broken(connection: postgres.Connection, plan: Plan) -> str:
    """Empty while the table is the same one and nobody else made such an index."""
    wanted = plan.preconditions
    given = {"schema": wanted["schema"], "table": wanted["table"], "columns": wanted["columns"]}
    with postgres.read_only(connection, SECONDS) as cursor:
        found = postgres.rows(cursor, TABLE, {**given, "actor": postgres.session_user(connection)}, 1)
        covering = postgres.rows(cursor, LEADING, given, 1)
    if not found or found[0][0] != wanted["oid"]:
        return f"table {wanted['table']} is gone, or another one now"
    return f"index {covering[0][0]} was made meanwhile" if covering else ""


def run(connection: postgres.Connection, call: str) -> str:
    """Builds the index, or drops it (undo). A build that fails takes its invalid rest away again."""
    try:
        postgres.change(connection, call, seconds=BUILD_SECONDS)
    except DriverError:
        if call.startswith("CREATE INDEX CONCURRENTLY "):
            _sweep(connection, call)
        raise
    return "done"


def _sweep(connection: postgres.Connection, call: str) -> None:
    """Drops the index of this name if the failed build left it invalid; a valid one is somebody else's."""
    name, _, table = call.removeprefix("CREATE INDEX CONCURRENTLY ").partition(" ON ")
    schema = table.partition(".")[0]
    sql = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass(%(name)s) AND NOT indisvalid"
    with postgres.read_only(connection, SECONDS) as cursor:
        ((invalid,),) = postgres.rows(cursor, sql, {"name": f"{schema}.{name}"}, 1)
    if invalid:
        postgres.change(connection, f"DROP INDEX CONCURRENTLY IF EXISTS {schema}.{name}", seconds=BUILD_SECONDS)
