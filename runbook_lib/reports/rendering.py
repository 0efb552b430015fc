"""Templates that cannot forget to escape: every value is cleaned and escaped on its way out, by construction."""

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader, Undefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from runbook_lib.model import COLOURS, Status
from runbook_lib.text import clean, clean_lines
from runbook_lib.window import spoken

LONGEST = 4000
MOST = 200_000
SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
ENTITY = re.compile(r"&(?=[#\w]+;)")
AT_START = re.compile(r"^(\s*)([#+\-=]|\d+[.)](?=\s|$))")


def escape_markdown(text: object) -> Markup:
    r"""One line that Markdown (with tables, mathematics and HTML) shows as it is.

    >>> print(escape_markdown("a|b <i> *c* snake_case _d_ $1"))
    a\|b &lt;i&gt; \*c\* snake_case \_d\_ \$1
    """
    line = SPECIAL.sub(r"\\\g<0>", clean(text, LONGEST))
    line = ENTITY.sub("&amp;", line).replace("<", "&lt;").replace(">", "&gt;")
    return Markup(AT_START.sub(_escape_start, line))  # noqa: S704 - this is what escapes


def _escape_start(match: "re.Match[str]") -> str:
    word = match[2]
    return match[1] + (f"\\{word}" if len(word) == 1 and not word.isdigit() else f"{word[:-1]}\\{word[-1]}")


def fenced(text: object, language: str = "") -> Markup:
    """A whole code block whose fence is longer than any run of backticks in it; it cannot hold a marker of `people`."""
    body = clean_lines(text, MOST).replace("<!--", "<! --")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return Markup(f"{fence}{language}\n{body}\n{fence}")  # noqa: S704 - nothing is markup inside of a fence


def whole(text: object) -> Markup:
    """Text for HTML that is not cut: exact calls and queries."""
    return Markup(escape(clean_lines(text, MOST)))  # noqa: S704 - escaped right here


def utc(moment: datetime | str | None, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """
    >>> utc("2026-11-21T03:50:01.5+00:00"), utc(None)
    ('2026-11-21 03:50:01 UTC', 'not known')
    """
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return "not known"
    return f"{moment.astimezone(UTC):{form}}" if moment else "not known"


def plainly(value: Any) -> str:
    """A value as one says it: numbers without noise, lists without brackets.

    >>> plainly(80.161588), plainly(["api", "worker"]), plainly(True), plainly(7)
    ('80.2', 'api, worker', 'yes', '7')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple):
        return ", ".join(plainly(item) for item in value) or "none"
    return clean(value, LONGEST)


def colour(status: object) -> str:
    """The colour of a status; that of `unknown` for a word that is none."""
    return COLOURS[Status(str(status))] if str(status) in set(Status) else COLOURS[Status.UNKNOWN]


@functools.cache
def _markdown() -> MarkdownIt:
    # No raw HTML, and no images: a report makes no request. markdown-it itself refuses javascript: links.
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def markdown(text: str) -> Markup:
    """What people wrote, as HTML."""
    return Markup(_markdown().render(clean_lines(text, MOST)))  # noqa: S704 - markdown-it escapes with html switched off


def _shown(value: Any) -> Any:
    if isinstance(value, Undefined):
        return "not known"  # records come from disk, and may lack what they should hold
    return value if isinstance(value, Markup) else clean_lines(value, LONGEST)


def _escaped(value: Any) -> Any:
    if isinstance(value, Undefined):
        return "not known"
    return value if isinstance(value, Markup) else escape_markdown(value)


def _environment(*, autoescape: bool, finalize: Callable[[Any], Any]) -> Environment:
    environment = Environment(
        loader=PackageLoader("runbook_lib.reports"),
        autoescape=autoescape,  # noqa: S701 - Markdown has its own way to escape: finalize
        finalize=finalize,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "utc": utc,
        "spoken": spoken,
        "colour": colour,
        "fenced": fenced,
        "whole": whole,
        "markdown": markdown,
        "line": clean,
        "plainly": plainly,
    }
    return environment


@functools.cache
def _html() -> Environment:
    return _environment(autoescape=True, finalize=_shown)


@functools.cache
def _plain() -> Environment:
    return _environment(autoescape=False, finalize=_escaped)


def render(template: str, **values: Any) -> str:
    """`*.html` is escaped as HTML, `*.md` as Markdown; what is Markup stays as it is."""
    environment = _html() if template.endswith(".html") else _plain()
    return environment.get_template(template).render(**values)
