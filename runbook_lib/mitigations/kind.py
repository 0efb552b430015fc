"""Kinds of mitigation are found, not registered: `postgres.terminate` is the module `postgres/terminate.py`.

The folder of a system is its `System`, a module in it that does not begin with `_` is a `Kind`.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Permission, Plan
from runbook_lib.model import Json, Target
from runbook_lib.profile import Source
from runbook_lib.text import nearest

PACKAGE = "runbook_lib.mitigations"
Connection = Any
"""A live connection of the system's own driver."""


class System(Protocol):
    """How one system is read and changed, and where its lease lives."""

    def actor(self, source: Source) -> str:
        """Who would act, by name. Raises PlanRefusedError where the profile names nobody."""

    def reading(self, source: Source, label: str) -> AbstractContextManager[tuple[Connection, Target]]: ...
    def acting(self, source: Source, label: str) -> AbstractContextManager[tuple[Connection, Target]]: ...
    def session(self, connection: Connection) -> dict[str, Json]:
        """`by` (who the server says we are) and what names this very session there."""

    def take_lease(self, connection: Connection) -> None:
        """Until this session ends. Raises PlanRefusedError with the holder where somebody else changes this target."""

    def execute(self, connection: Connection, call: str) -> str:
        """One call of an undo, and what the system said. Raises DriverError."""

    def end_session(self, connection: Connection, session: Mapping[str, Json]) -> None:
        """Ends what a killed process of ours left running there, if it still does."""


class Kind(Protocol):
    """One kind of mitigation. `calls` and `undo` are pure, so a stored plan is held against what it stands for."""

    CHECKS: tuple[str, ...]
    SYMPTOMS: tuple[str, ...]
    LONGEST: float
    """Seconds that one call may take."""

    def plan(self, connection: Connection, arguments: Mapping[str, Json], actor: str) -> Draft:
        """Reads the present state as the reader. Raises PlanRefusedError where there is nothing to do (any more)."""

    def calls(self, preconditions: Mapping[str, Json]) -> tuple[str, ...]: ...
    def undo(self, preconditions: Mapping[str, Json]) -> tuple[str, ...] | str: ...
    def permissions(
        self, connection: Connection, preconditions: Mapping[str, Json], actor: str
    ) -> tuple[Permission, ...]: ...
    def still_holds(self, connection: Connection, plan: Plan) -> str:
        """Why the plan does not fit the world any more; empty where it does."""

    def apply(self, connection: Connection, plan: Plan, call: str) -> str:
        """One of the plan's calls, and its effect in words. Raises DriverError."""

    def clean_up(self, connection: Connection, plan: Plan) -> str:
        """After a call failed: takes away what it left half done, and says so."""


def names() -> list[str]:
    """Every kind: `system.kind`."""
    package = importlib.import_module(PACKAGE)
    systems = [m.name for m in pkgutil.iter_modules(package.__path__) if m.ispkg]
    return [
        f"{system}.{module.name}"
        for system in systems
        for module in pkgutil.iter_modules(importlib.import_module(f"{PACKAGE}.{system}").__path__)
        if not module.name.startswith("_")
    ]


def find(name: str) -> tuple[System, Kind]:
    """Raises PlanRefusedError with the nearest name."""
    if name not in names():
        raise PlanRefusedError(f"there is no mitigation of kind {name!r}{nearest(name, names())}")
    system, _, _ = name.partition(".")
    modules = importlib.import_module(f"{PACKAGE}.{system}"), importlib.import_module(f"{PACKAGE}.{name}")
    return cast(System, modules[0]), cast(Kind, modules[1])
