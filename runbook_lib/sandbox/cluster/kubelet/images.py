"""Which images there are, and what they run: a registry of programs of this machine."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


class Images:
    """A table `repository: [program, argument, ...]`, from a YAML file; `python` in front is our own."""

    def __init__(self, path: Path) -> None:
        known: Mapping[str, Any] = yaml.safe_load(path.read_text()) or {}
        self._known = {name: [str(word) for word in words] for name, words in known.items()}

    def command(self, container: Object) -> list[str] | None:
        """What to run; None where the image is not there."""
        repository, _, tag = container["image"].rpartition("/")[2].partition(":")
        prefix = container["image"].rpartition("/")[0]
        name = f"{prefix}/{repository}" if prefix else repository
        found = self._known.get(f"{name}:{tag}", self._known.get(name))
        if found is None:
            return None
        words = [*(container.get("command") or found), *(container.get("args") or [])]
        return [sys.executable if words[0] == "python" else words[0], *words[1:]]
