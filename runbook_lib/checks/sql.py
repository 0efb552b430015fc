"""What a normalised statement (`... WHERE customer_id = $1`) asks of a table."""

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError


@dataclass(frozen=True, slots=True)
class Shape:
    """The one table that is read, and the columns that are compared with a value, in the order they are written."""

    table: str
    columns: tuple[str, ...]


def shape(text: str) -> Shape | None:
    """None where the statement is not understood, reads several tables, or compares nothing.

    >>> shape("SELECT * FROM orders WHERE customer_id = $1 ORDER BY id DESC LIMIT $2")
    Shape(table='orders', columns=('customer_id',))
    """
    try:
        statement = sqlglot.parse_one(text, read="postgres")
    except SqlglotError:
        return None
    tables = {t.name for t in statement.find_all(exp.Table)}
    where = statement.find(exp.Where)
    if len(tables) != 1 or where is None or where.find(exp.Or):
        return None
    columns = tuple(dict.fromkeys(_compared(where)))
    return Shape(tables.pop(), columns) if columns else None


def _compared(where: exp.Expression) -> list[str]:
    columns = []
    for equality in where.find_all(exp.EQ):
        sides = (equality.this, equality.expression)
        named = [s for s in sides if isinstance(s, exp.Column)]
        if len(named) == 1:
            columns.append(named[0].name)
    return columns
