"""Words for people. Text from outside is data: what a system under investigation says may hold anything."""

import difflib
import re
import shlex
import unicodedata
from collections.abc import Iterable

ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]{0,4096}(?:\x07|\x1b\\|$)|\x1b[@-Z\\-_]")
INVISIBLE = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
"""Controls, direction overrides and zero widths, lone surrogates, unassigned code points, exotic line ends."""
ROOM = 64
"""How much of an over-long text is looked at, in times of its limit: cleaning 10 MB to show 80 characters is waste."""


def clean(text: object, limit: int = 200) -> str:
    r"""One line that shows what it holds: no escapes, no controls, no direction tricks, at most `limit` characters.

    >>> clean("a\x1b[31mred\x1b[0m\tb\n\u202ec", 20)
    'ared b c'
    >>> clean("abcdefgh", 4), clean(None)
    ('abc…', '')
    """
    text = "" if text is None else str(text)
    return shorten(" ".join(_visible(text[: limit * ROOM]).split()), limit)


def clean_lines(text: object, limit: int = 4000) -> str:
    """The same, but line ends and indentation stay: for queries and tracebacks."""
    lines = str(text)[: limit * ROOM].replace("\r\n", "\n").replace("\t", "    ").split("\n")
    return shorten("\n".join(_visible(line).rstrip() for line in lines), limit)


def shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = ESCAPES.sub("", text)
    return "".join(" " if unicodedata.category(c) in INVISIBLE else c for c in text)


def command(*words: str, **options: str) -> str:
    """A command of ours as one can paste it; options without a value are left out.

    >>> command("run", "triage", incident="inc-1", archive="my archive", approve="")
    "runbook run triage --incident inc-1 --archive 'my archive'"
    """
    given = [part for name, value in options.items() if value for part in (f"--{name}", value)]
    return shlex.join(["runbook", *words, *given])


def count(number: float, one: str, many: str | None = None) -> str:
    """
    >>> count(1, "session"), count(3, "session"), count(2, "query", "queries")
    ('1 session', '3 sessions', '2 queries')
    """
    return f"{number:,.0f} {one if number == 1 else many or one + 's'}"


def short_number(number: float) -> str:
    """
    >>> short_number(950), short_number(1234), short_number(240_000), short_number(3_400_000), short_number(0.25)
    ('950', '1,234', '240 k', '3.4 M', '0.25')
    """
    if abs(number) < 10:
        return f"{number:.2g}"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= size:
            divisor = 1e3 if unit == "k" else size
            return f"{number / divisor:.3g} {unit}"
    return f"{number:,.0f}"


def milliseconds(value: float) -> str:
    """
    >>> milliseconds(0.42), milliseconds(12.3), milliseconds(2500)
    ('0.42 ms', '12 ms', '2.5 s')
    """
    return f"{value / 1000:.2g} s" if value >= 1000 else f"{short_number(value)} ms"


def nearest(name: str, known: Iterable[str]) -> str:
    """` - did you mean X?`, or the whole list where nothing is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(names) or 'none'}"
