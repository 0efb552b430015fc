"""Pure functions from Evidence to Finding, one module a system; found by name, `system.check`."""

import importlib
import inspect
import pkgutil

from runbook_lib.checks.base import Check
from runbook_lib.errors import ProfileError, UsageError
from runbook_lib.profile import Profile
from runbook_lib.workspace import nearest

HELPERS = {"base", "sql"}


def names() -> list[str]:
    """Every check: `system.check`."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        if module.name not in HELPERS:
            members = vars(importlib.import_module(f"{__name__}.{module.name}"))
            found += [f"{module.name}.{name}" for name, value in members.items() if isinstance(value, Check)]
    return sorted(found)


def find(name: str) -> Check:
    """Raises UsageError with the nearest name."""
    system, _, function = name.partition(".")
    if system in {m.name for m in pkgutil.iter_modules(__path__)} - HELPERS:
        found = getattr(importlib.import_module(f"{__name__}.{system}"), function, None)
        if isinstance(found, Check):
            return found
    raise UsageError(f"there is no check {name!r}{nearest(name, names())}")


def check_thresholds(profile: Profile) -> None:
    """Raises ProfileError, with file and line, for a threshold of a check or argument that does not exist."""
    for name, arguments in profile.thresholds.items():
        if name not in names():
            raise ProfileError(f"{profile.where('thresholds', name)}: no check {name!r}{nearest(name, names())}")
        known = [p for p in inspect.signature(find(name).judge).parameters if p != "evidence"]
        for argument in arguments.keys() - set(known):
            where = profile.where("thresholds", name, argument)
            raise ProfileError(f"{where}: {name} has no threshold {argument!r}{nearest(argument, known)}")
