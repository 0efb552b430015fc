"""Tries every cause on the findings, folds symptoms into what explains them, and ranks what is left."""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

from runbook_lib.diagnosis import causes
from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject
from runbook_lib.model import Finding, Hypothesis, Status, worst

RANK = {"confident": 0, "likely": 1, "possible": 2, "undetermined": 3}
MOST = 5


@cache
def catalogue() -> tuple[Cause, ...]:
    """Every cause there is, by walking the folder."""
    modules = sorted(m.name for m in pkgutil.iter_modules(causes.__path__))
    return tuple(importlib.import_module(f"{causes.__name__}.{name}").CAUSE for name in modules)


@dataclass(frozen=True, slots=True)
class Case:
    """One cause on one subject, as far as the findings tell."""

    cause: Cause
    subject: Subject
    hypothesis: Hypothesis


def diagnose(findings: Iterable[Finding]) -> list[Hypothesis]:
    """Ranked hypotheses, never empty: healthy and undetermined are verdicts too."""
    known = Findings(findings)
    cases = [_case(cause, subject, known) for cause in catalogue() for subject in cause.subjects(known)]
    roots = _fold(cases)
    ranked = sorted(roots, key=lambda h: (RANK[h.confidence], len(h.contradicts), -len(h.supports)))
    if ranked and ranked[0].confidence in ("confident", "likely"):
        return ranked[:MOST]
    return [_without_cause(known, ranked), *ranked[: MOST - 1]]


def _case(cause: Cause, subject: Subject, known: Findings) -> Case:
    there, missing, unseen = _look(cause.predicts, subject, known)
    against, _, _ = _look(cause.contradicts, subject, known)
    if against or len(missing) > len(there):
        confidence, because = "possible", _because(against, missing)
    elif missing or unseen:
        confidence, because = "likely", _because(missing, unseen)
    else:
        confidence, because = "confident", "everything that it predicts is there, and nothing speaks against it"
    return Case(
        cause,
        subject,
        Hypothesis(
            cause=cause.id,
            title=cause.titled(subject),
            category=cause.category,
            subject=subject,
            confidence=confidence,  # type: ignore[arg-type]
            because=because,
            supports=tuple(there),
            contradicts=(*against, *missing),
            would_settle=tuple(unseen),
            mitigations=cause.mitigations(subject),
        ),
    )


def _because(first: list[str], second: list[str]) -> str:
    return "; ".join((first + second)[:2])


def _look(signs: Iterable[Sign], subject: Subject, known: Findings) -> tuple[list[str], list[str], list[str]]:
    """What is there, what was looked for and is not there, and what could not be seen."""
    there, missing, unseen = [], [], []
    for sign in signs:
        finding = _finding(sign, subject, known)
        says = sign.says(finding, subject) if finding else ""
        if says:
            there.append(f"{sign.check}: {says}")
        elif sign.settles and (finding is None or finding.status is Status.UNKNOWN):
            reason = "was not asked" if finding is None else finding.summary
            unseen.append(f"{sign.settles} ({sign.check} {reason})")
        elif sign.settles and finding is not None:
            missing.append(f"{sign.check} does not show it: {finding.summary}")
    return there, missing, unseen


def _finding(sign: Sign, subject: Subject, known: Findings) -> Finding | None:
    if sign.elsewhere:
        found = known.of(sign.check)
        return next((f for f in found if sign.says(f, subject)), found[-1] if found else None)
    return known.about(sign.check, subject["source"])


def _fold(cases: list[Case]) -> list[Hypothesis]:
    """Two symptoms of one cause are one hypothesis: what another case explains supports that one instead."""
    explained: dict[int, Case] = {}
    for case in cases:
        for other in cases:
            explains = other.cause.explains.get(case.cause.id)
            strong = RANK[other.hypothesis.confidence] <= RANK[case.hypothesis.confidence]
            if explains and other is not case and strong and explains(other.subject, case.subject):
                explained[id(case)] = other
                break
    roots = []
    for case in cases:
        if id(case) in explained:
            continue
        symptoms = [c.hypothesis for c in cases if _root(c, explained) is case and c is not case]
        extra = tuple(f"explains: {s.title}" for s in symptoms)
        roots.append(replace(case.hypothesis, supports=tuple(dict.fromkeys([*case.hypothesis.supports, *extra]))))
    return roots


def _root(case: Case, explained: dict[int, Case]) -> Case:
    """What explains it, and what explains that, to the end; a circle ends where it would close."""
    seen = {id(case)}
    while (other := explained.get(id(case))) is not None and id(other) not in seen:
        case = other
        seen.add(id(case))
    return case


def _without_cause(known: Findings, candidates: list[Hypothesis]) -> Hypothesis:
    unseen = [f"{f.check} on {f.source}: {f.summary}" for f in known.all if f.status is Status.UNKNOWN]
    wrong = [f"{f.source}: {f.summary}" for f in known.all if f.status in (Status.WARN, Status.CRITICAL)]
    if worst(known.all) is Status.OK and not unseen:
        return Hypothesis(
            cause="healthy",
            title="Nothing is wrong in anything that was asked",
            category="healthy",
            subject={},
            confidence="confident",
            because=f"all {len(known.all)} questions were answered, and every answer is ok",
        )
    title = (
        "Something is wrong, and no known cause fits"
        if wrong
        else "Nothing wrong was seen, but not everything could be"
    )
    if candidates:
        title = "Undetermined between: " + "; ".join(h.title for h in candidates[:3])
    return Hypothesis(
        cause="undetermined",
        title=title,
        category="undetermined",
        subject={},
        confidence="undetermined",
        because=f"{len(wrong)} findings are bad, {len(unseen)} of {len(known.all)} questions went unanswered",
        supports=tuple(wrong),
        would_settle=tuple(dict.fromkeys([*(s for h in candidates for s in h.would_settle), *unseen])),
    )
