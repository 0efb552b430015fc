"""The copy of a notebook that may be written down."""

from collections.abc import Callable
from typing import Any

from nbformat import NotebookNode

from runbook_lib.execution import form
from runbook_lib.secrets import redactor


def redacted(notebook: NotebookNode, to_text: Callable[[str], str] | None = None) -> NotebookNode:
    """A deep copy without secrets, with adjacent stream outputs of one name joined: a secret may come in two halves."""
    copy = dict(notebook)
    cells = copy["cells"]
    copy["cells"] = [{**c, "outputs": joined(c["outputs"])} if "outputs" in c else c for c in cells]
    return form.node(redactor.clean_display(copy, to_text))


def joined(outputs: list[NotebookNode]) -> list[dict[str, Any]]:
    """The same outputs, adjacent streams of one name as one."""
    whole: list[dict[str, Any]] = []
    for output in outputs:
        last = whole[-1] if whole else None
        if last and output["output_type"] == "stream" == last["output_type"] and output["name"] == last["name"]:
            whole[-1] = {**last, "text": last["text"] + output["text"]}
        else:
            whole.append(dict(output))
    return whole
