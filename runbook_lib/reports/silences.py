"""Questions that went unanswered, gathered: one dead system is one line, not one for each question."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from runbook_lib.text import clean

SENTENCE = re.compile(r"(?P<question>\S+) on (?P<source>\S+): (?P<reason>.*)", re.DOTALL)
"""As `session` writes them: `postgres.connections on shop_db: timed out (no answer within 3 s)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Questions to one source that failed in the same way; `source` is empty for a sentence of another form."""

    source: str
    reason: str
    questions: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.questions)} on {self.source}: {self.reason}" if self.source else self.reason


def gather(sentences: Iterable[object]) -> list[Silence]:
    found: dict[tuple[str, str], list[str]] = {}
    for sentence in sentences:
        text = clean(sentence, 600)
        match = SENTENCE.fullmatch(text)
        key = (match["source"], match["reason"]) if match else ("", text)
        found.setdefault(key, []).append(match["question"] if match else "")
    return [Silence(source=s, reason=r, questions=tuple(q)) for (s, r), q in found.items()]
