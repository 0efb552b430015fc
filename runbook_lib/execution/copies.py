"""The copy of a notebook that may be written down."""

import itertools
from collections.abc import Callable
from typing import Any

from nbformat import NotebookNode

from runbook_lib.execution import form
from runbook_lib.secrets import redactor

LONGEST_STREAM = 1_000_000
"""Characters: more than anyone reads, and every save redacts all of it."""


def redacted(notebook: NotebookNode, to_text: Callable[[str], str] | None = None) -> NotebookNode:
    """A deep copy without secrets, with adjacent stream outputs of one name joined: a secret may come in two halves."""
    copy = dict(notebook)
    cells = copy["cells"]
    copy["cells"] = [{**c, "outputs": joined(c["outputs"])} if "outputs" in c else c for c in cells]
    return form.node(redactor.clean_display(copy, to_text))


def joined(outputs: list[NotebookNode]) -> list[dict[str, Any]]:
    """The same outputs, adjacent streams of one name as one; of a very long one the beginning and a word about it."""
    whole: list[dict[str, Any]] = []
    for name, group in itertools.groupby(outputs, key=lambda o: o["name"] if o["output_type"] == "stream" else ""):
        if not name:
            whole += [dict(output) for output in group]
            continue
        first, *more = group
        text = "".join([first["text"], *(output["text"] for output in more)])
        cut = f"\n[cut off: {len(text):,} characters]\n" if len(text) > LONGEST_STREAM else ""
        whole.append({**first, "text": text[:LONGEST_STREAM] + cut})
    return whole
