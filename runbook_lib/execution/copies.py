"""The copy of a notebook that may be written down."""

import re
from typing import Any

from nbformat import NotebookNode

from runbook_lib.execution import form
from runbook_lib.secrets import redactor

ANSI = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")
BINARY = ("image/", "audio/", "video/", "application/pdf", "application/octet-stream", "font/")


def redacted(notebook: NotebookNode) -> NotebookNode:
    """A deep copy without secrets, with adjacent stream outputs of one name joined: a secret may come in two halves."""
    copy = dict(notebook)
    cells = copy["cells"]
    copy["cells"] = [{**c, "outputs": joined(c["outputs"])} if "outputs" in c else c for c in cells]
    return form.node(clean(copy))


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


def clean(value: Any) -> Any:
    """Takes secrets out of everything that is text, and leaves images and the like alone."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(k): v if _binary(k) else clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(v) for v in value]
    return value


def _binary(key: str) -> bool:
    return key.startswith(BINARY) and not key.startswith("image/svg")


def text(value: str) -> str:
    """Colours go where they stand inside of a secret (a traceback colours each token)."""
    safe = redactor.redact(value)
    if "\x1b" not in value:
        return safe
    plain = ANSI.sub("", value)
    safe_plain = redactor.redact(plain)
    return safe_plain if safe_plain != plain else safe
