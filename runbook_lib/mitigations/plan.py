"""A plan: what would be done, on whom, exactly how, what it costs, and the way back. A person approves this."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder, read_json, write_json
from runbook_lib.errors import ArchiveError, PlanRefusedError, StateError
from runbook_lib.mitigations import face
from runbook_lib.model import MIME, Json, Target

PLAN_ID = re.compile(r"[0-9a-f]{12}")
VALID = timedelta(minutes=15)
"""A plan speaks of a state that was read; after this long it must be read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Something that the actor needs, in the words of a GRANT, and whether it has it."""

    what: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a kind finds out about one suggestion; `Plan` is this with its id, place and time."""

    title: str
    present: str
    preconditions: Mapping[str, Json]
    dry_run: str
    blast_radius: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`calls` are the exact statements; `undo` is those that take them back, or a text that says why none can.

    `id` is the hash of kind, target identity, calls and preconditions, so the same plan in the same world has the same
    id. `checks` are asked again afterwards, those of `symptoms` have to get well. `archive` is where it was read from.
    """

    id: str
    kind: str
    incident: str
    source: str
    profile: str
    why: str
    arguments: Mapping[str, Json]
    target: Target
    title: str
    present: str
    calls: tuple[str, ...]
    preconditions: Mapping[str, Json]
    permissions: tuple[Permission, ...]
    dry_run: str
    blast_radius: str
    expected: str
    undo: tuple[str, ...] | str
    checks: tuple[str, ...]
    symptoms: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    archive: str = field(default="", compare=False)

    @property
    def digest(self) -> str:
        """What an approval signs: all that decides about what is executed, forwards and back."""
        undo = list(self.undo) if isinstance(self.undo, tuple) else self.undo
        what = [self.kind, self.source, self.target.identity, list(self.calls), dict(self.preconditions), undo]
        return _sha256(what)

    def record(self) -> dict[str, Json]:
        own = asdict(self)
        del own["archive"]
        times = {"created_at": self.created_at.isoformat(), "expires_at": self.expires_at.isoformat()}
        return {**own, **times, "digest": self.digest}

    @classmethod
    def of(cls, record: Mapping[str, Json]) -> "Plan":
        """Raises StateError where the record is no plan, or not the one that its id and digest name."""
        raw = {k: v for k, v in record.items() if k != "digest"}
        try:
            plan = cls(**{**raw, **_typed(raw)})
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"plan {record.get('id')} cannot be read: {error}") from error
        same_id = plan.id == plan_id(plan.kind, plan.target, plan.calls, plan.preconditions)
        if not same_id or plan.digest != record.get("digest"):
            raise StateError(f"plan {plan.id} was changed after it was proposed")
        return plan

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        return {"text/plain": face.text(self), "text/html": face.html(self), MIME: {"plan": self.record()}}


def _typed(raw: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "target": Target(**raw["target"]),
        "calls": tuple(raw["calls"]),
        "permissions": tuple(Permission(**p) for p in raw["permissions"]),
        "undo": raw["undo"] if isinstance(raw["undo"], str) else tuple(raw["undo"]),
        "checks": tuple(raw["checks"]),
        "symptoms": tuple(raw["symptoms"]),
        "created_at": datetime.fromisoformat(raw["created_at"]),
        "expires_at": datetime.fromisoformat(raw["expires_at"]),
    }


def plan_id(kind: str, target: Target, calls: tuple[str, ...], preconditions: Mapping[str, Json]) -> str:
    """Twelve hexadecimal digits."""
    return _sha256([kind, target.identity, list(calls), dict(preconditions)])[:12]


def _sha256(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def store(incident: IncidentFolder, plan: Plan) -> Plan:
    """Writes `plans/<id>.json`; the same plan again lives longer, unless it was begun: then it stays as it is.

    Raises PlanRefusedError where it cannot be kept as it is, because it holds a secret.
    """
    folder = incident.path / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{plan.id}.applied.json").exists():
        write_json(folder / f"{plan.id}.json", plan.record())
    try:
        return load(incident, plan.id)
    except StateError as error:
        (folder / f"{plan.id}.json").unlink()
        raise PlanRefusedError("the plan holds what looks like a secret, so it cannot be kept as it is") from error


def load(incident: IncidentFolder, plan_id: str) -> Plan:
    """Raises ArchiveError where there is no such plan, StateError where it is not as it was proposed."""
    path = incident.path / "plans" / f"{plan_id}.json"
    if not PLAN_ID.fullmatch(plan_id) or not path.exists():
        raise ArchiveError(f"incident {incident.id} has no plan {plan_id!r}: see {path.parent}")
    try:
        plan = Plan.of(read_json(path))
    except StateError as error:
        raise StateError(f"{path}: {error}") from error
    if plan.incident != incident.id or plan.id != plan_id:
        raise StateError(f"{path} is plan {plan.id} of incident {plan.incident}")
    return replace(plan, archive=str(incident.path.parent))


def verify(incident: IncidentFolder) -> list[str]:
    """What of the plans is no longer as it was proposed, or not there any more; empty when all is."""
    events = timeline.read(incident)
    known = {str(e.data["plan"]): e for e in events if e.kind == "plan_proposed" and "plan" in e.data}
    wrong = []
    for name, event in known.items():
        try:
            plan = load(incident, name)
            if plan.title != event.data.get("title", plan.title):
                wrong.append(f"plan {name} was changed after it was proposed: its title")
        except (ArchiveError, StateError) as error:
            wrong.append(str(error))
    begun = {str(e.data.get("plan")) for e in events if e.kind in {"apply_begun", "applied"}}
    ledgers = {name: incident.path / "plans" / f"{name}.applied.json" for name in begun}
    wrong += [f"what was done of plan {n} is gone: {p.name}" for n, p in ledgers.items() if not p.is_file()]
    return wrong
