"""Changes as plans: proposed, approved, applied by a process of its own, verified, undone.

One short module a kind of change, `<system>.<kind>`, found by name; the path is the same for all.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType

from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.plan import Draft, Plan, store
from runbook_lib.model import Finding, Suggestion
from runbook_lib.profile import Profile

SYSTEMS = ("postgres",)


def kinds() -> list[str]:
    """Every kind of change: `system.kind`."""
    found = []
    for system in SYSTEMS:
        package = importlib.import_module(f"{__name__}.{system}")
        found += [f"{system}.{m.name}" for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    return sorted(found)


def module_of(kind: str) -> ModuleType:
    """Raises PlanRefusedError for a kind that there is not."""
    if kind not in kinds():
        raise PlanRefusedError(f"there is no change of kind {kind!r}; there are: {', '.join(kinds())}")
    return importlib.import_module(f"{__name__}.{kind}")


def propose(suggestion: Suggestion, profile: Profile, incident: IncidentFolder, findings: Sequence[Finding]) -> Plan:
    """Makes the suggestion a plan, reading the present state as reader; stores it and changes nothing.

    Raises PlanRefusedError where there is nothing to do any more, the target's identity cannot be had, or the actor
    lacks a permission (which one).
    """
    source = profile.sources[suggestion.source]
    draft: Draft = module_of(suggestion.kind).plan(source, suggestion.arguments, label=f"runbook/{incident.id}")
    missing = [what for what, held in draft.permissions if not held]
    if missing:
        raise PlanRefusedError(f"the actor of {source.name} lacks: {'; '.join(missing)}")
    symptoms = tuple(
        dict.fromkeys(f.check for f in findings if f.source == source.name and f.status in ("warn", "critical"))
    )
    asked = tuple(dict.fromkeys(f.check for f in findings))
    return store(incident, draft, suggestion, checks=asked, symptoms=symptoms)


__all__ = ["kinds", "module_of", "propose"]
