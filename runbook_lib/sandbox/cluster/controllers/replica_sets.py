"""ReplicaSet: as many pods as are wanted."""

from typing import Any

from runbook_lib.sandbox.cluster import selectors
from runbook_lib.sandbox.cluster.client import Api, Informer, Object, RefusedByServerError
from runbook_lib.sandbox.cluster.events import Recorder
from runbook_lib.sandbox.cluster.kinds import kind

REPLICA_SETS = kind("replicasets", "apps")
PODS = kind("pods")
KINDS = (REPLICA_SETS, PODS)
ENDED = ("Succeeded", "Failed")


class ReplicaSets:
    """Creates, deletes and counts."""

    def __init__(self, api: Api, informer: Informer) -> None:
        self._api = api
        self._informer = informer
        self._recorder = Recorder(api, "replicaset-controller")

    async def reconcile(self) -> None:
        for item in self._informer.all(REPLICA_SETS):
            if not item["metadata"].get("deletionTimestamp"):
                await self._one(item)

    async def _one(self, item: Object) -> None:
        pods = owned(self._informer, item)
        living = [p for p in pods if (p.get("status") or {}).get("phase") not in ENDED]
        living = [p for p in living if not p["metadata"].get("deletionTimestamp")]
        wanted = item["spec"].get("replicas", 1)
        for _ in range(wanted - len(living)):
            if not await self._create(item):
                break
        for pod in sorted(living, key=_dispensable)[: max(0, len(living) - wanted)]:
            await self._delete(item, pod)
        await self._count(item, living)

    async def _create(self, item: Object) -> bool:
        template = item["spec"]["template"]
        metadata = {
            "generateName": f"{item['metadata']['name']}-",
            "namespace": item["metadata"]["namespace"],
            "labels": template["metadata"].get("labels", {}),
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": [owner(REPLICA_SETS.api_version, "ReplicaSet", item)],
        }
        try:
            pod = await self._api.create(PODS, {"metadata": metadata, "spec": template["spec"]})
        except RefusedByServerError as error:
            if error.code == 404:
                return False
            await self._recorder.tell(REPLICA_SETS, item, "FailedCreate", f"Error creating: {error}", warning=True)
            await self._condition(item, str(error))
            return False
        self._informer.note(PODS, pod)
        message = f"Created pod: {pod['metadata']['name']}"
        await self._recorder.tell(REPLICA_SETS, item, "SuccessfulCreate", message)
        return True

    async def _condition(self, item: Object, message: str) -> None:
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
        if failure not in (item.get("status") or {}).get("conditions", []):
            await self._api.patch(REPLICA_SETS, item, {"status": {"conditions": [failure]}}, "status")

    async def _delete(self, item: Object, pod: Object) -> None:
        deleted = await self._api.delete(PODS, pod)
        if deleted.get("kind") == "Pod":
            self._informer.note(PODS, deleted)
        message = f"Deleted pod: {pod['metadata']['name']}"
        await self._recorder.tell(REPLICA_SETS, item, "SuccessfulDelete", message)

    async def _count(self, item: Object, living: list[Object]) -> None:
        ready = sum(is_ready(pod) for pod in living)
        labels = item["spec"]["template"]["metadata"].get("labels", {})
        tests = selectors.of({"matchLabels": labels})
        labelled = sum(selectors.matches(tests, pod["metadata"].get("labels", {})) for pod in living)
        status: dict[str, Any] = {
            "replicas": len(living),
            "fullyLabeledReplicas": labelled or None,
            "readyReplicas": ready or None,
            "availableReplicas": ready or None,
            "observedGeneration": item["metadata"]["generation"],
        }
        present = item.get("status") or {}
        if len(living) >= item["spec"].get("replicas", 1) and present.get("conditions"):
            status["conditions"] = None
        if any(present.get(name) != value for name, value in status.items()):
            after = await self._api.patch(REPLICA_SETS, item, {"status": status}, "status")
            self._informer.note(REPLICA_SETS, after)


def owner(api_version: str, name: str, item: Object) -> Object:
    return {
        "apiVersion": api_version,
        "kind": name,
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned(item: Object, by: Object) -> bool:
    references = item["metadata"].get("ownerReferences") or []
    return any(r["uid"] == by["metadata"]["uid"] and r.get("controller") for r in references)


def owned(informer: Informer, item: Object) -> list[Object]:
    """The pods that an object made."""
    return [p for p in informer.all(PODS, item["metadata"]["namespace"]) if is_owned(p, item)]


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _dispensable(pod: Object) -> tuple[bool, bool, int]:
    """Whom to delete first: not placed, not ready, most restarts, as the real one ranks them."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    restarts = sum(s.get("restartCount", 0) for s in statuses)
    return bool(pod["spec"].get("nodeName")), is_ready(pod), -restarts
