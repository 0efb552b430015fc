"""What a cause is made of."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from runbook_lib.model import Category, Finding, Json, Status, Suggestion

Subject = Mapping[str, Json]
"""What a cause is about: always `source`, and what names it there (pid, application, table, ...)."""


class Findings:
    """All findings of a run, by check."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.all = tuple(findings)

    def of(self, check: str) -> list[Finding]:
        return [f for f in self.all if f.check == check]

    def about(self, check: str, source: Json) -> Finding | None:
        """The finding of a check on one source; the latest, if it was asked again."""
        found = [f for f in self.of(check) if f.source == source]
        return found[-1] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Something that a cause makes visible, in the finding of one check.

    `says` gives a sentence where it is there, and an empty one where it is not. `settles` names what looking would
    tell, for when it could not be looked at. Where `elsewhere` is set, any source of the system counts.
    """

    check: str
    says: Callable[[Finding, Subject], str]
    settles: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A cause by what it predicts and what contradicts it.

    `subjects` lists what the cause could be about in these findings; the first prediction is what made it a candidate.
    `explains` names causes that are mere symptoms of this one where the given function says so of the two subjects.
    """

    id: str
    title: str
    category: Category
    subjects: Callable[[Findings], list[Subject]]
    predicts: tuple[Sign, ...]
    contradicts: tuple[Sign, ...] = ()
    explains: Mapping[str, Callable[[Subject, Subject], bool]] = field(default_factory=dict)
    mitigations: Callable[[Subject], tuple[Suggestion, ...]] = lambda _: ()

    def titled(self, subject: Subject) -> str:
        return self.title.format_map(subject)


def same_source(ours: Subject, theirs: Subject) -> bool:
    return bool(ours["source"] == theirs["source"])


def always(_ours: Subject, _theirs: Subject) -> bool:
    return True


def bad(finding: Finding, _subject: Subject) -> str:
    """The finding's own sentence, where it is a warning or worse."""
    return finding.summary if finding.status in (Status.WARN, Status.CRITICAL) else ""


def endpoints_fail(finding: Finding, _subject: Subject) -> str:
    return finding.summary if finding.facts.get("failing") else ""


def outcomes(*wanted: str) -> Callable[[Findings, str], list[Subject]]:
    """Sources of a system whose reachability check met one of these outcomes."""

    def subjects(findings: Findings, check: str) -> list[Subject]:
        return [
            {"source": f.source, "outcome": f.facts["outcome"].replace("_", " ")}
            for f in findings.of(check)
            if f.facts.get("outcome") in wanted
        ]

    return subjects
