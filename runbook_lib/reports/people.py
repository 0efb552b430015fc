"""What people write into a post-mortem, between markers, which survives when it is written anew."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from runbook_lib.archive.store import write_atomic
from runbook_lib.errors import ArchiveError
from runbook_lib.reports.rendering import escape_markdown
from runbook_lib.secrets import redactor
from runbook_lib.window import now, stamp

PROMPTS: Mapping[str, str] = {
    "impact": "_For people: who was affected, how many requests and customers, since when._",
    "contributing-factors": "_For people: what made it possible, or worse? Why was it not caught earlier?_",
    "went-well": "_For people._",
    "could-improve": "_For people. Were procedures followed?_",
    "lessons": "_For people._",
}
ACTIONS = "action-items"
HEAD = "| action | why | owner | due | status |\n|---|---|---|---|---|"
UNTOUCHED = re.compile(r"^\|.*\|  \|  \| proposed \|$")
BLOCK = re.compile(r"<!-- people:(?P<name>[a-z\-]+) -->\n?(?P<text>.*?)\n?<!-- /people:(?P=name) -->", re.DOTALL)
OPENING = re.compile(r"<!-- people:([a-z\-]+) -->")
DIGEST = re.compile(r"\n<!-- written by runbook: ([0-9a-f]{64}) -->\n$")


def read(path: Path) -> dict[str, str]:
    """The blocks of an earlier post-mortem by name, redacted; none where there is no earlier one.

    Raises ArchiveError where a marker is not closed, rather than lose what stands behind it.
    """
    if not path.exists():
        return {}
    text = _text(path)
    blocks = {m["name"]: redactor.redact(m["text"]) for m in BLOCK.finditer(text)}
    for name in OPENING.findall(text):
        if name not in blocks or OPENING.search(blocks[name]):
            raise ArchiveError(f"{path}: marker people:{name} is not closed; mend it, then write the post-mortem anew")
    return blocks


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{path} is no UTF-8; mend it, or move it away") from error


def block(name: str, text: str) -> Markup:
    return Markup(f"<!-- people:{name} -->\n{text}\n<!-- /people:{name} -->")  # noqa: S704 - it is theirs, as it was


def actions(written: str | None, proposed: Sequence[tuple[str, str]]) -> str:
    """The table of action items: rows that people touched stay, our own untouched ones are proposed anew.

    To be rid of a proposal, give it another status (`rejected`) rather than delete it.
    """
    kept = [line for line in (written or HEAD).splitlines() if not UNTOUCHED.match(line)]
    kept = kept if any(line.startswith("|") for line in kept) else [*kept, HEAD]
    items = [(escape_markdown(action), escape_markdown(why)) for action, why in proposed]
    fresh = [
        f"| {a} | {why} |  |  | proposed |" for a, why in items if not any(line.startswith(f"| {a} |") for line in kept)
    ]
    return "\n".join([*kept, *fresh])


def write(path: Path, text: str) -> None:
    """Writes the post-mortem; one that was edited outside of the markers is kept beside it under another name."""
    if path.exists():
        before = _text(path)
        digest = DIGEST.search(before)
        if digest is None or digest[1] != _digest(before[: digest.start()]):
            write_atomic(path.with_name(f"{path.stem}.kept-{stamp(now())}{path.suffix}"), before)
    write_atomic(path, f"{text.rstrip()}\n<!-- written by runbook: {_digest(text.rstrip())} -->\n")


def _digest(text: str) -> str:
    """Of all that is ours: what stands between the markers is left out."""
    ours = BLOCK.sub(lambda m: m["name"], text).rstrip()
    return hashlib.sha256(ours.encode("utf-8", "surrogatepass")).hexdigest()
