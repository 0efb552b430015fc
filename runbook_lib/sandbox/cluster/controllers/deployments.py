"""Deployment: a ReplicaSet for each template, and a way from the old one to the new that serves all along."""

import hashlib
import math
from typing import Any

import orjson

from runbook_lib.sandbox.cluster.client import Api, Informer, Object
from runbook_lib.sandbox.cluster.controllers.replica_sets import REPLICA_SETS, is_owned, owner
from runbook_lib.sandbox.cluster.events import Recorder
from runbook_lib.sandbox.cluster.kinds import kind
from runbook_lib.sandbox.cluster.printing.values import moment
from runbook_lib.sandbox.cluster.store import timestamp

DEPLOYMENTS = kind("deployments", "apps")
KINDS = (DEPLOYMENTS, REPLICA_SETS)
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Deployments:
    """Makes revisions, rolls between them, and says how far it is."""

    def __init__(self, api: Api, informer: Informer) -> None:
        self._api = api
        self._informer = informer
        self._recorder = Recorder(api, "deployment-controller")

    async def reconcile(self) -> None:
        for item in self._informer.all(DEPLOYMENTS):
            if not item["metadata"].get("deletionTimestamp"):
                await self._one(item)

    async def _one(self, item: Object) -> None:
        sets = [s for s in self._informer.all(REPLICA_SETS, item["metadata"]["namespace"]) if is_owned(s, item)]
        new = next((s for s in sets if _same_template(s, item)), None)
        if not item["spec"].get("paused"):
            new = await self._current(item, sets, new)
            old = [s for s in sets if s["metadata"]["uid"] != new["metadata"]["uid"]]
            recreate = item["spec"]["strategy"]["type"] == "Recreate"
            await (self._recreate if recreate else self._roll)(item, new, old)
            await self._clean(item, old)
        elif new is not None and _replicas(new) and _replicas(new) != item["spec"]["replicas"] and len(sets) == 1:
            await self._scale(item, new, item["spec"]["replicas"])
        await self._tell(item, new, [s for s in sets if new is None or s["metadata"]["uid"] != new["metadata"]["uid"]])

    async def _current(self, item: Object, sets: list[Object], new: Object | None) -> Object:
        """The ReplicaSet of the present template, with the highest revision, made where there is none."""
        revision = max((_revision(s) for s in sets if s is not new), default=0) + 1
        if new is None:
            new = await self._create(item, revision)
        elif _revision(new) < revision:
            change = {"metadata": {"annotations": {REVISION: str(revision)}}}
            new = await self._api.patch(REPLICA_SETS, new, change)
            self._informer.note(REPLICA_SETS, new)
        if item["metadata"].get("annotations", {}).get(REVISION) != str(_revision(new)):
            change = {"metadata": {"annotations": {REVISION: str(_revision(new))}}}
            self._informer.note(DEPLOYMENTS, await self._api.patch(DEPLOYMENTS, item, change))
        return new

    async def _create(self, item: Object, revision: int) -> Object:
        template = orjson.loads(orjson.dumps(item["spec"]["template"]))
        mark = _hash(template)
        labels = {**template["metadata"].get("labels", {}), HASH: mark}
        template["metadata"]["labels"] = labels
        kept = {k: v for k, v in item["metadata"].get("annotations", {}).items() if not k.startswith("kubectl.")}
        selector = item["spec"]["selector"]
        made = {
            "metadata": {
                "name": f"{item['metadata']['name']}-{mark}",
                "namespace": item["metadata"]["namespace"],
                "labels": labels,
                "annotations": {**kept, REVISION: str(revision)},
                "ownerReferences": [owner(DEPLOYMENTS.api_version, "Deployment", item)],
            },
            "spec": {
                "replicas": 0,
                "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), HASH: mark}},
                "template": template,
            },
        }
        new = await self._api.create(REPLICA_SETS, made)
        self._informer.note(REPLICA_SETS, new)
        return new

    async def _roll(self, item: Object, new: Object, old: list[Object]) -> None:
        """New ones up to wanted + surge, old ones down as far as wanted - unavailable stay available."""
        wanted = item["spec"]["replicas"]
        surge, unavailable = bounds(item)
        total = _replicas(new) + sum(map(_replicas, old))
        if _replicas(new) > wanted:
            await self._scale(item, new, wanted)
        elif _replicas(new) < wanted and total < wanted + surge:
            await self._scale(item, new, min(wanted, _replicas(new) + wanted + surge - total))
            return
        available = _available(new) + sum(map(_available, old))
        spare = max(0, available - (wanted - unavailable))
        for item_set in old:
            broken = _replicas(item_set) - _available(item_set)
            # What is not available serves nobody: it may go first, but never below what the new ones still lack.
            room = total - (wanted - unavailable) - (_replicas(new) - _available(new))
            goes = min(_replicas(item_set), max(min(broken, room), 0) + min(spare, _available(item_set)))
            if goes > 0:
                spare -= min(spare, _available(item_set))
                total -= goes
                await self._scale(item, item_set, _replicas(item_set) - goes)

    async def _recreate(self, item: Object, new: Object, old: list[Object]) -> None:
        running = [s for s in old if _replicas(s)]
        for item_set in running:
            await self._scale(item, item_set, 0)
        ended = not running and not any((s.get("status") or {}).get("replicas") for s in old)
        if ended and _replicas(new) != item["spec"]["replicas"]:
            await self._scale(item, new, item["spec"]["replicas"])

    async def _scale(self, item: Object, item_set: Object, replicas: int) -> None:
        before = _replicas(item_set)
        after = await self._api.patch(REPLICA_SETS, item_set, {"spec": {"replicas": replicas}})
        self._informer.note(REPLICA_SETS, after)
        item_set["spec"]["replicas"] = replicas
        way = "up" if replicas > before else "down"
        message = f"Scaled {way} replica set {item_set['metadata']['name']} from {before} to {replicas}"
        await self._recorder.tell(DEPLOYMENTS, item, "ScalingReplicaSet", message)

    async def _clean(self, item: Object, old: list[Object]) -> None:
        """Keeps so many old revisions as `revisionHistoryLimit` says."""
        idle = sorted(
            (s for s in old if not _replicas(s) and not (s.get("status") or {}).get("replicas")), key=_revision
        )
        for item_set in idle[: max(0, len(idle) - item["spec"].get("revisionHistoryLimit", 10))]:
            await self._api.delete(REPLICA_SETS, item_set)

    async def _tell(self, item: Object, new: Object | None, old: list[Object]) -> None:
        sets = [s for s in (new, *old) if s is not None]
        total = sum((s.get("status") or {}).get("replicas", 0) for s in sets)
        updated = (new.get("status") or {}).get("replicas", 0) if new else 0
        available = sum(map(_available, sets))
        status: dict[str, Any] = {
            "observedGeneration": item["metadata"]["generation"],
            "replicas": total or None,
            "updatedReplicas": updated or None,
            "readyReplicas": available or None,
            "availableReplicas": available or None,
            "unavailableReplicas": max(0, max(total, item["spec"]["replicas"]) - available) or None,
        }
        status["conditions"] = _conditions(item, new, status)
        present = item.get("status") or {}
        if any(present.get(name) != value for name, value in status.items()):
            after = await self._api.patch(DEPLOYMENTS, item, {"status": status}, "status")
            self._informer.note(DEPLOYMENTS, after)


def bounds(item: Object) -> tuple[int, int]:
    """How many pods more, and how many fewer than wanted there may be; never both none."""
    rolling = item["spec"]["strategy"].get("rollingUpdate") or {}
    wanted = item["spec"]["replicas"]
    surge = _share(rolling.get("maxSurge", "25%"), wanted, up=True)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return surge, unavailable if surge or unavailable else 1


def _share(value: int | str, of: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    part = of * int(value.removesuffix("%")) / 100
    return math.ceil(part) if up else math.floor(part)


def _conditions(item: Object, new: Object | None, status: Object) -> list[Object]:
    """Available, Progressing, and ReplicaFailure where pods could not be made; times change with the status only."""
    wanted, available = item["spec"]["replicas"], status["availableReplicas"] or 0
    enough = available >= wanted - bounds(item)[1]
    name = new["metadata"]["name"] if new else item["metadata"]["name"]
    done = (status["updatedReplicas"] or 0) == wanted == available == (status["replicas"] or 0)
    before = {c["type"]: c for c in (item.get("status") or {}).get("conditions") or []}
    late = not done and _late(item, before.get("Progressing"), status)
    if late:
        progress = ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
    elif done:
        progress = ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
    else:
        progress = ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
    minimum = "has minimum availability." if enough else "does not have minimum availability."
    available_reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    wanted_conditions = [
        ("Available", str(enough), available_reason, f"Deployment {minimum}"),
        ("Progressing", *progress),
    ]
    failures = ((new.get("status") or {}).get("conditions") or []) if new else []
    wanted_conditions += [("ReplicaFailure", "True", f["reason"], f["message"]) for f in failures]
    moved = (item.get("status") or {}).get("updatedReplicas") != status["updatedReplicas"]
    return [_condition(before.get(c[0]), *c, touched=moved and c[0] == "Progressing") for c in wanted_conditions]


def _condition(before: Object | None, name: str, status: str, reason: str, message: str, *, touched: bool) -> Object:
    now = timestamp()
    if before and (before["status"], before["reason"], before["message"]) == (status, reason, message) and not touched:
        return before
    since = before["lastTransitionTime"] if before and before["status"] == status else now
    told = {"type": name, "status": status, "reason": reason, "message": message}
    return {**told, "lastUpdateTime": now, "lastTransitionTime": since}


def _late(item: Object, progressing: Object | None, status: Object) -> bool:
    """Whether nothing has moved for `progressDeadlineSeconds`."""
    if progressing is None or item["spec"].get("paused"):
        return False
    if (item.get("status") or {}).get("observedGeneration") != item["metadata"]["generation"]:
        return False
    if progressing["reason"] == "ProgressDeadlineExceeded":
        return bool((item.get("status") or {}).get("updatedReplicas") == status["updatedReplicas"])
    since, now = moment(progressing["lastUpdateTime"]), moment(timestamp())
    if since is None or now is None or progressing["reason"] == "NewReplicaSetAvailable":
        return False
    return (now - since).total_seconds() > float(item["spec"].get("progressDeadlineSeconds", 600))


def _same_template(item_set: Object, item: Object) -> bool:
    theirs = orjson.loads(orjson.dumps(item_set["spec"]["template"]))
    theirs["metadata"].get("labels", {}).pop(HASH, None)
    return bool(theirs == item["spec"]["template"])


def _hash(template: Object) -> str:
    """Ten letters that change with the template."""
    digest = hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:10])


def _revision(item_set: Object) -> int:
    return int(item_set["metadata"].get("annotations", {}).get(REVISION, 0))


def _replicas(item_set: Object) -> int:
    return int(item_set["spec"].get("replicas", 0))


def _available(item_set: Object) -> int:
    return int((item_set.get("status") or {}).get("availableReplicas") or 0)
