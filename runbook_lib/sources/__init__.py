"""One module a system: a query in, rows out; reader only.

Each module has `session(source, label=..., seconds=...)`, a context manager that gives a Session.
"""

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from runbook_lib.model import Coverage, Json, Target
from runbook_lib.profile import Source
from runbook_lib.queries import Query

WHOLE = Coverage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`rows` in the order of the query's columns, `text` the query as one could paste it."""

    rows: list[tuple[Any, ...]]
    text: str
    coverage: Coverage = WHOLE


class Session(Protocol):
    """An open line to one system."""

    @property
    def target(self) -> Target: ...

    def ask(self, query: Query, params: Mapping[str, Json], seconds: float) -> Answer:
        """Raises DriverError with the outcome."""


def session(source: Source, *, label: str, seconds: float) -> AbstractContextManager[Session]:
    """Opens a line as reader; `label` is what the system shows of us. Raises DriverError."""
    module = importlib.import_module(f"{__name__}.{source.kind}")
    opened: AbstractContextManager[Session] = module.session(source, label=label, seconds=seconds)
    return opened
