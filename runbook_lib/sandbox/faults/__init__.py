"""True faults, one module each; the folder is the list of them.

A module says its `CAUSE` and the `MITIGATION` that fits (None: nothing to do), `inflict`s the fault and returns its
subject once the effect is there, and `heal`s what `Box.restore` does not restore for all.
"""

import difflib
import importlib
import pkgutil
import random
from typing import TYPE_CHECKING, Protocol, cast

from runbook_lib.errors import UsageError

if TYPE_CHECKING:
    from runbook_lib.sandbox.box import Box


class FaultModule(Protocol):
    CAUSE: str
    MITIGATION: str | None

    def inflict(self, box: "Box", chance: random.Random) -> dict[str, object]: ...
    def heal(self, box: "Box") -> None: ...


def faults() -> tuple[str, ...]:
    """The names of all faults, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load(name: str) -> FaultModule:
    """The module of a fault.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in faults():
        near = difflib.get_close_matches(name, faults(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(faults())}"
        raise UsageError(f"no fault {name!r}; {hint}")
    return cast(FaultModule, importlib.import_module(f"{__name__}.{name}"))
