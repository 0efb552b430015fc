"""A plan: what would be changed, on whom, on what conditions, and how to take it back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from runbook_lib.archive.store import IncidentFolder, read_json, write_json
from runbook_lib.errors import ArchiveError, PlanRefusedError, StateError
from runbook_lib.model import MIME, Json, Suggestion, Target
from runbook_lib.window import now

LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a kind of change works out: see Plan, of which it is the part that the kind knows."""

    kind: str
    target: Target
    title: str
    present: str
    calls: tuple[str, ...]
    preconditions: Mapping[str, Json]
    permissions: tuple[tuple[str, bool], ...]
    dry_run: str
    blast_radius: str
    expected: str
    undo: tuple[str, ...]
    irreversible: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`calls` and `undo` are SQL that a person could paste; `irreversible` says why there is no undo, if so.

    `checks` are asked again afterwards; `symptoms` are those that were bad when it was proposed. The id is the hash of
    kind, target, calls and preconditions: what never holds still (counts, clocks) is not in it.
    """

    id: str
    incident: str
    kind: str
    source: str
    target: Mapping[str, Json]
    title: str
    present: str
    calls: tuple[str, ...]
    preconditions: Mapping[str, Json]
    permissions: tuple[tuple[str, bool], ...]
    dry_run: str
    blast_radius: str
    expected: str
    undo: tuple[str, ...]
    irreversible: str
    checks: tuple[str, ...]
    symptoms: tuple[str, ...]
    why: str
    created_at: datetime
    expires_at: datetime

    def record(self) -> dict[str, Json]:
        return {**asdict(self), "created_at": self.created_at.isoformat(), "expires_at": self.expires_at.isoformat()}

    @property
    def digest(self) -> str:
        """What an approval signs: the id and everything that the id is made of, in full."""
        return fingerprint(self.kind, self.target.get("identity"), self.calls, self.preconditions)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        facts = {
            "does": self.title,
            "because": self.why,
            "on": f"{self.source} ({self.target['identity']} at {self.target['address']})",
            "now": self.present,
            "touches": self.blast_radius,
            "expected": self.expected,
            "tried": self.dry_run,
            "undo": "\n".join(self.undo) or f"cannot be undone: {self.irreversible}",
            "valid": f"until {self.expires_at:%H:%M:%S} UTC, while nothing it rests on changes",
        }
        calls = "\n".join(self.calls)
        approve = f"runbook run NOTEBOOK --incident {self.incident} --approve {self.id}"
        text = [f"PLAN {self.id}", *(f"  {k:9} {v}" for k, v in facts.items()), calls, f"approve and apply: {approve}"]
        rows = "".join(f"<tr><th style='text-align:left'>{k}</th><td>{escape(v)}</td></tr>" for k, v in facts.items())
        html = (
            f"<h3>Plan {self.id}: {escape(self.title)}</h3><table>{rows}</table><pre>{escape(calls)}</pre>"
            f"<p>Approve and apply in batch: <code>{escape(approve)}</code></p>"
        )
        return {"text/plain": "\n".join(text), "text/html": html, MIME: {"plan": self.record()}}


def fingerprint(kind: str, identity: object, calls: tuple[str, ...], preconditions: Mapping[str, Json]) -> str:
    parts = [kind, identity, list(calls), preconditions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def store(
    incident: IncidentFolder,
    draft: Draft,
    suggestion: Suggestion,
    *,
    checks: tuple[str, ...],
    symptoms: tuple[str, ...],
) -> Plan:
    """Writes `plans/<id>.json`. The same plan again only lives longer, unless it was applied: then it stays as it is.

    Raises PlanRefusedError where the target's identity is not known.
    """
    if draft.target.identity is None:
        raise PlanRefusedError(f"the identity of {draft.target.source} is not known, so nothing on it may be changed")
    digest = fingerprint(draft.kind, draft.target.identity, draft.calls, draft.preconditions)
    created = now()
    fields: dict[str, Any] = {name: getattr(draft, name) for name in Draft.__dataclass_fields__ if name != "target"}
    plan = Plan(
        id=digest[:12],
        incident=incident.id,
        source=draft.target.source,
        target={"identity": draft.target.identity, "address": draft.target.address, "instance": draft.target.instance},
        checks=checks,
        symptoms=symptoms,
        why=suggestion.why,
        created_at=created,
        expires_at=created + LIFETIME,
        **fields,
    )
    folder = incident.path / "plans"
    folder.mkdir(exist_ok=True)
    if not (folder / f"{plan.id}.steps.json").exists():
        write_json(folder / f"{plan.id}.json", plan.record())
    return plan


def load(incident: IncidentFolder, plan_id: str) -> Plan:
    """Raises ArchiveError where it is not there, StateError where it is not the plan that its name says."""
    path = incident.path / "plans" / f"{plan_id}.json"
    if not plan_id.isalnum() or not path.exists():
        raise ArchiveError(f"incident {incident.id} has no plan {plan_id!r}: see {path.parent}")
    raw = read_json(path)
    for name in ("calls", "undo", "checks", "symptoms"):
        raw[name] = tuple(raw[name])
    raw["permissions"] = tuple((what, bool(held)) for what, held in raw["permissions"])
    for name in ("created_at", "expires_at"):
        raw[name] = datetime.fromisoformat(raw[name])
    try:
        plan = Plan(**raw)
    except TypeError as error:
        raise StateError(f"{path} is no plan: {error}") from error
    if plan.digest[:12] != plan.id or plan.id != plan_id:
        raise StateError(f"{path} was changed: its content is not plan {plan_id}")
    return plan
