"""Runs a notebook from outside its kernel, and writes down truthfully how it went."""

import importlib
import sys
from types import ModuleType
from typing import cast

# nbformat needs jsonschema, which compiles a grammar for IRIs where it finds this package: 1.5 s of each start, for a
# check that no notebook has use for.
_modules = cast(dict[str, ModuleType | None], sys.modules)
_before = _modules.get("rfc3987_syntax")
_modules["rfc3987_syntax"] = _before
importlib.import_module("jsonschema")

if _before is None:
    del _modules["rfc3987_syntax"]
