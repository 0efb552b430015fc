"""Names that try to break out of their statement are quoted or refused, never executed as something else."""

import re
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.apply import apply
from runbook_lib.mitigations.approval import approve
from runbook_lib.mitigations.postgres import _sessions, create_index
from runbook_lib.mitigations.undo import undo
from runbook_lib.profile import Profile
from tests.mitigations.conftest import Connect, Propose, indexes

HOSTILE = [
    'a"; DROP TABLE customers; --',
    "a'; DROP TABLE customers; --",
    "x) ; SELECT pg_sleep(9); --",
    "line\nbreak",
    "tab\tand \\ back",
    "ünïcödé 表",
    "/* comment",
    "%s %(name)s %%",
    'U&"\\0061"',
    "SELECT",
]
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(min_size=1, max_size=20),
    st.text("\"';-\\$%/*\n\r\t\u202e()é表", min_size=1, max_size=20),
    st.text(min_size=60, max_size=80),
)
NAME = r'"((?:[^"]|"")*)"'
SHAPE = re.compile(
    rf"CREATE INDEX CONCURRENTLY IF NOT EXISTS {NAME} ON {NAME}\.{NAME} \(({NAME}(?:, {NAME})*)\);", re.DOTALL
)


@given(names, names, st.lists(names, min_size=1, max_size=3))
def test_a_statement_keeps_its_shape(schema: str, table: str, columns: list[str]) -> None:
    """Whatever the names, it is one CREATE INDEX whose quoted names are exactly those given, or it is refused."""
    try:
        wanted = [create_index.name_of(n) for n in (schema, table, *columns)]
    except PlanRefusedError:
        return
    index = create_index.index_name(table, columns)
    assert len(index.encode()) <= create_index.LONGEST_NAME
    preconditions = {"schema": schema, "table": table, "columns": columns, "index": index}
    (call,) = create_index.calls(preconditions)
    match = SHAPE.fullmatch(call)
    assert match
    quoted = [match[1], match[2], match[3], *re.findall(NAME, match[4], re.DOTALL)]
    assert [n.replace('""', '"') for n in quoted] == [index, *wanted]
    assert create_index.undo(preconditions)[0].endswith(f'."{index}";')


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "nul\0byte", "\ud800", None, 7, ["t"]])
def test_names_that_there_cannot_be(name: Any) -> None:
    """Empty, longer than 63 bytes, with a NUL byte, no text: refused before a server is asked."""
    with pytest.raises(PlanRefusedError):
        create_index.name_of(name)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, names, names)
def test_the_server_is_asked_and_not_told(
    propose: Propose, connect: Connect, schema: str, table: str, column: str
) -> None:
    """A name that is nowhere is not there: never an error of syntax, and nothing is changed."""
    for arguments in ((schema, table, [column]), ("public", table, [column]), ("public", "products", [column])):
        given = dict(zip(("schema", "table", "columns"), arguments, strict=True))
        with pytest.raises(PlanRefusedError, match=r"there is no table|has no columns|names have at most|is no "):
            propose("postgres.create_index", **given)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, names)
def test_applications_and_roles_are_bound(propose: Propose, application: str, role: str) -> None:
    """No application or role has such a name, so there is nothing to terminate."""
    with pytest.raises(PlanRefusedError, match=r"holds no session|cannot contain NUL"):
        propose("postgres.terminate_unused", application=application, role=role)


conditions = st.dictionaries(
    st.one_of(st.sampled_from(sorted(_sessions.CONDITIONS)), st.sampled_from(HOSTILE), st.text()),
    st.one_of(st.integers(), st.sampled_from([*HOSTILE, "idle", "2026-11-21T05:00:00+00:00"]), st.text(), st.none()),
    max_size=4,
)


@given(conditions, st.booleans())
def test_a_condition_keeps_its_shape(session: dict[str, Any], named: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    """A session of a plan written by hand, whatever is in it, is plain comparisons or refused."""
    session |= {"pid": 7, "backend_start": "2026-11-21T05:00:00+00:00"} if named else {}
    try:
        condition = _sessions.where(session)
    except PlanRefusedError:
        return
    assert "pid = 7" in condition or not named
    for part in condition.split(" AND "):
        assert re.fullmatch(r"(pid|backend_start|xact_start|query_start|state|state_change) = (-?\d+|'[^'\\]+')", part)


@pytest.fixture
def hostile(connect: Connect) -> Any:
    """Tables and columns with such names do exist."""
    owner, made = connect("shop_owner", "schema"), []

    def make(name: str) -> psycopg.Connection[Any]:
        statement = sql.SQL("CREATE TABLE {} ({} int)")
        owner.execute(statement.format(sql.Identifier(name), sql.Identifier(name)))
        made.append(name)
        return owner

    yield make
    for name in made:
        owner.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize("name", HOSTILE)
def test_live_on_hostile_names(
    profile: Profile, incident: IncidentFolder, propose: Propose, hostile: Any, name: str
) -> None:
    """The index is made on the very table and column, can be undone, and the other tables are still there."""
    owner = hostile(name)
    table = sql.Identifier(name).as_string(owner)
    plan = propose("postgres.create_index", schema="public", table=name, columns=[name])
    approve(incident, plan.id)
    assert apply(incident, profile, plan.id)["ok"]
    assert indexes(owner, table) == {plan.preconditions["index"]: True}
    assert undo(incident, profile, plan.id)["ok"]
    assert indexes(owner, table) == {}
    assert owner.execute("SELECT count(*) FROM customers").fetchone() is not None
