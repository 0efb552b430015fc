"""What an executed notebook shows: its pictures with the words before them, and how its cells went."""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from runbook_lib.model import Json
from runbook_lib.text import clean, clean_lines

PNG = b"\x89PNG\r\n\x1a\n"
BIGGEST = 8_000_000
MOST = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG with its heading, the question in words, and a text alternative."""

    png: bytes
    heading: str
    caption: str
    alt: str

    @property
    def src(self) -> Markup:
        return Markup("data:image/png;base64,") + base64.b64encode(self.png).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How a code cell went: ok, failed, timed out, never ran, interrupted, running, or not known."""

    id: str
    state: str
    seconds: float | None
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """`state`, `reason`, `started`, `ended` are what the engine wrote into it; empty where no engine did."""

    pictures: tuple[Picture, ...] = ()
    cells: tuple[Cell, ...] = ()
    state: str = ""
    reason: str = ""
    started: str = ""
    ended: str = ""
    trouble: str = ""


def read(path: Path) -> Notebook:
    """Whatever of it can be read; `trouble` says what cannot."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        marks = raw["metadata"].get("runbook") or {}
        return Notebook(
            pictures=tuple(_pictures(raw["cells"]))[:MOST],
            cells=tuple(_cell(c) for c in raw["cells"] if c["cell_type"] == "code"),
            **{k: str(marks.get(k) or "") for k in ("state", "reason", "started", "ended")},
        )
    except FileNotFoundError:
        return Notebook(trouble="notebook.ipynb is not there: no pictures, and how its cells went is not known")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Notebook(trouble=f"notebook.ipynb cannot be read: {clean(error, 200)}")


def _text(cell: Mapping[str, Json], key: str = "source") -> str:
    value = cell.get(key, "")
    return "".join(value) if isinstance(value, list) else str(value)


def _cell(cell: Mapping[str, Json]) -> Cell:
    marks = cell["metadata"].get("runbook") or {}
    seconds = marks.get("seconds")
    return Cell(
        id=clean(cell.get("id", ""), 40),
        state=clean(marks.get("state") or "not known", 20),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        reason=clean(marks.get("reason") or _error(cell), 400),
        source=clean_lines(_text(cell).strip(), 400),
    )


def _error(cell: Mapping[str, Json]) -> str:
    errors = [o for o in cell.get("outputs", []) if o.get("output_type") == "error"]
    return f"{errors[0].get('ename', '')}: {errors[0].get('evalue', '')}" if errors else ""


def _pictures(cells: list[dict[str, Json]]) -> Iterator[Picture]:
    heading = caption = ""
    for cell in cells:
        if cell["cell_type"] == "markdown":
            heading, caption = _words(_text(cell), heading)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            png = _png(_text(data, "image/png")) if "image/png" in data else None
            if png:
                alt = re.sub(r"^Chart: ", "", clean(_text(data, "text/plain"), 600))
                yield Picture(png=png, heading=heading, caption=caption, alt=alt)


def _words(markdown: str, before: str) -> tuple[str, str]:
    """The question that a cell asks in bold, else its last heading, else the one before; and the text after it.

    >>> _words("## Diagnosis\\n**Does it serve?** `refused` is down.", "")
    ('Does it serve?', 'refused is down.')
    """
    lines = [line.strip() for line in markdown.splitlines() if line.strip()]
    headings = [line.lstrip("#").strip() for line in lines if line.startswith("#")]
    texts = [line for line in lines if not line.startswith("#")]
    heading, text = headings[-1] if headings else before, texts[0] if texts else ""
    question = re.match(r"\*\*(.+?)\*\*\s*(.*)", text)
    if question:
        heading, text = question[1], question[2]
    return clean(heading, 160), clean(re.sub(r"[*`]", "", text), 400)


def _png(text: str) -> bytes | None:
    """None for what only says that it is a picture."""
    if len(text) > BIGGEST:
        return None
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        return None
    return data if data.startswith(PNG) else None
