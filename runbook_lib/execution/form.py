"""nbformat, which comes without types, as far as it is needed here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import nbformat
from nbformat import NotebookNode

_untyped: Any = nbformat


def read(path: Path) -> NotebookNode:
    """Raises what nbformat raises, see `parameters.load_notebook`."""
    return cast(NotebookNode, _untyped.read(path, as_version=4))


def written(notebook: NotebookNode) -> str:
    return str(_untyped.writes(notebook)) + "\n"


def node(mapping: Mapping[str, Any]) -> NotebookNode:
    """Deep: the mappings inside become nodes too."""
    return cast(NotebookNode, _untyped.from_dict(mapping))


def error_output(kind: str, reason: str) -> NotebookNode:
    return cast(NotebookNode, _untyped.v4.new_output("error", ename=kind, evalue=reason, traceback=[reason]))
