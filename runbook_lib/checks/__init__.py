"""Pure functions from Evidence to Finding, one module a system; found by name, `system.check`."""

import importlib
import inspect
import pkgutil

from runbook_lib.checks.base import Check
from runbook_lib.errors import ProfileError, UsageError
from runbook_lib.model import Json
from runbook_lib.profile import Profile
from runbook_lib.text import nearest

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
    """Raises ProfileError, with file and line, for a threshold that no check has, or that is no number."""
    for name, arguments in profile.thresholds.items():
        if name not in names():
            raise ProfileError(f"{profile.where('thresholds', name)}: no check {name!r}{nearest(name, names())}")
        known = {p: q.default for p, q in inspect.signature(find(name).judge).parameters.items() if p != "evidence"}
        for argument, value in arguments.items():
            where = profile.where("thresholds", name, argument)
            if argument not in known:
                raise ProfileError(f"{where}: {name} has no threshold {argument!r}{nearest(argument, known)}")
            if not _fits(value, known[argument]):
                wanted = "true or false" if isinstance(known[argument], bool) else "a number from 0 on"
                raise ProfileError(f"{where}: {name}: {argument} wants {wanted}, not {value!r}")


def _fits(value: Json, default: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return isinstance(value, bool) if isinstance(default, bool) else number
