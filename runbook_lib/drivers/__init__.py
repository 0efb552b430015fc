"""One module a system: settings, connecting as reader or as actor, failures mapped to outcomes.

The client library of a system is imported in its driver and nowhere else.
"""

import importlib
import pkgutil
from types import ModuleType

from runbook_lib.errors import ProfileError, SecretError
from runbook_lib.profile import Profile, Source
from runbook_lib.text import nearest

HELPERS = {"network", "threads"}


def kinds() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in HELPERS)


def of(source: Source) -> ModuleType:
    """The driver of a source. Raises ProfileError for a kind that has none."""
    if source.kind not in kinds():
        where = source.marks.get(("sources", source.name, "kind"), "profile")
        raise ProfileError(
            f"{where}: source {source.name}: no driver for kind {source.kind!r}{nearest(source.kind, kinds())}"
        )
    return importlib.import_module(f"{__name__}.{source.kind}")


def check_settings(profile: Profile) -> None:
    """Raises ProfileError (file and line) or SecretError for the first source that cannot be used as it is written."""
    for source in profile.sources.values():
        try:
            of(source).preflight(source)
        except SecretError as error:
            raise SecretError(f"{profile.where('sources', source.name)}: source {source.name}: {error}") from error
