"""The scheduler: a node for each pod, or the real one's words why there is none."""

from runbook_lib.sandbox.cluster.client import STRATEGIC, Api, Informer, Object
from runbook_lib.sandbox.cluster.controllers.replica_sets import ENDED, PODS
from runbook_lib.sandbox.cluster.events import Recorder
from runbook_lib.sandbox.cluster.kinds import kind
from runbook_lib.sandbox.cluster.quantities import amount
from runbook_lib.sandbox.cluster.store import timestamp

NODES = kind("nodes")
KINDS = (PODS, NODES)


class Scheduler:
    """Places pods on the node that has the most room."""

    def __init__(self, api: Api, informer: Informer) -> None:
        self._api = api
        self._informer = informer
        self._recorder = Recorder(api, "default-scheduler")
        self._told: dict[str, str] = {}

    async def reconcile(self) -> None:
        for pod in self._informer.all(PODS):
            waits = not pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp")
            if waits and pod["spec"].get("schedulerName", "default-scheduler") == "default-scheduler":
                await self._place(pod)

    async def _place(self, pod: Object) -> None:
        nodes = self._informer.all(NODES)
        reasons = {node["metadata"]["name"]: self._against(pod, node) for node in nodes}
        fitting = [node for node in nodes if not reasons[node["metadata"]["name"]]]
        if not fitting:
            await self._refuse(pod, list(reasons.values()))
            return
        best = max(fitting, key=lambda node: self._free(node, "cpu"))
        name = best["metadata"]["name"]
        change = {"spec": {"nodeName": name}}
        self._informer.note(PODS, await self._api.patch(PODS, pod, change))
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp()}
        after = await self._api.patch(PODS, pod, {"status": {"conditions": [scheduled]}}, "status", STRATEGIC)
        self._informer.note(PODS, after)
        full = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        await self._recorder.tell(PODS, pod, "Scheduled", f"Successfully assigned {full} to {name}")

    def _against(self, pod: Object, node: Object) -> str:
        """Why not there, in the scheduler's words; empty where it fits."""
        tolerated = {t.get("key") for t in pod["spec"].get("tolerations") or []}
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        for taint in node["spec"].get("taints") or []:
            if taint["effect"] != "PreferNoSchedule" and taint["key"] not in tolerated:
                value = f": {taint['value']}" if taint.get("value") else ": "
                return f"node(s) had untolerated taint {{{taint['key']}{value}}}"
        labels = node["metadata"].get("labels") or {}
        if any(labels.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
            return "node(s) didn't match Pod's node affinity/selector"
        for resource in ("cpu", "memory"):
            if requested(pod, resource) > self._free(node, resource):
                return f"Insufficient {resource}"
        return ""

    def _free(self, node: Object, resource: str) -> float:
        there = amount((node.get("status") or {}).get("allocatable", {}).get(resource, "0"))
        placed = (p for p in self._informer.all(PODS) if p["spec"].get("nodeName") == node["metadata"]["name"])
        return there - sum(requested(p, resource) for p in placed if (p.get("status") or {}).get("phase") not in ENDED)

    async def _refuse(self, pod: Object, reasons: list[str]) -> None:
        counted = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
        why = ", ".join(f"{count} {reason}" for reason, count in counted.items())
        available = f"0/{len(reasons)} nodes are available"
        message = f"{available}: {why}." if why else "no nodes available to schedule pods"
        if self._told.get(pod["metadata"]["uid"]) == message:
            return
        self._told[pod["metadata"]["uid"]] = message
        unscheduled = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": timestamp(),
        }
        after = await self._api.patch(PODS, pod, {"status": {"conditions": [unscheduled]}}, "status", STRATEGIC)
        self._informer.note(PODS, after)
        await self._recorder.tell(PODS, pod, "FailedScheduling", message, warning=True)


def requested(pod: Object, resource: str) -> float:
    """What all containers of a pod request, in cores or bytes."""
    requests = ((c.get("resources") or {}).get("requests") or {} for c in pod["spec"].get("containers") or [])
    return sum(amount(r.get(resource, "0")) for r in requests)
