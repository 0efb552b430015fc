"""A pod's line, as the API server's own printer makes it: readiness, the reason that matters most, restarts."""

from typing import Any

from runbook_lib.sandbox.cluster.printing.values import AGE, NAME, NONE, Column, Object, ago, at, moment


def _statuses(pod: Object, name: str = "containerStatuses") -> list[dict[str, Any]]:
    return list(at(pod, "status", name, default=[]))


def ready(pod: Object) -> str:
    count = sum(bool(s.get("ready")) and at(s, "state", "running") is not None for s in _statuses(pod))
    return f"{count}/{len(at(pod, 'spec', 'containers', default=[]))}"


def restarts(pod: Object) -> str:
    """The sum over the containers, and when the last one was."""
    statuses = _statuses(pod)
    total = sum(int(s.get("restartCount", 0)) for s in statuses)
    ends = [at(s, "lastState", "terminated", "finishedAt") for s in statuses]
    last = max(filter(None, (moment(e) for e in ends)), default=None)
    return f"{total} ({ago(last.isoformat())} ago)" if total and last else str(total)


def reason(pod: Object) -> str:
    """What stands under STATUS: the phase, unless a container or a deletion has more to say."""
    found = str(at(pod, "status", "reason") or at(pod, "status", "phase", default=""))
    for condition in at(pod, "status", "conditions", default=[]):
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            found = "SchedulingGated"
    starting = _initializing(pod)
    found = starting or _of_containers(pod, found)
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if at(pod, "status", "reason") == "NodeLost" else "Terminating"
    return found


def _initializing(pod: Object) -> str:
    statuses = _statuses(pod, "initContainerStatuses")
    for number, status in enumerate(statuses):
        ended, waiting = at(status, "state", "terminated"), at(status, "state", "waiting")
        if ended and ended.get("exitCode") == 0:
            continue
        if ended:
            return f"Init:{_ended(ended)}"
        if waiting and waiting.get("reason") not in {None, "", "PodInitializing"}:
            return f"Init:{waiting['reason']}"
        return f"Init:{number}/{len(at(pod, 'spec', 'initContainers', default=[]))}"
    return ""


def _of_containers(pod: Object, found: str) -> str:
    running = False
    for status in reversed(_statuses(pod)):
        waiting, ended = at(status, "state", "waiting"), at(status, "state", "terminated")
        if waiting and waiting.get("reason"):
            found = waiting["reason"]
        elif ended:
            found = _ended(ended)
        elif status.get("ready") and at(status, "state", "running") is not None:
            running = True
    if found == "Completed" and running:
        ready_now = any(
            c.get("type") == "Ready" and c.get("status") == "True" for c in at(pod, "status", "conditions", default=[])
        )
        return "Running" if ready_now else "NotReady"
    return found


def _ended(ended: dict[str, Any]) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _gates(pod: Object) -> str:
    gates = at(pod, "spec", "readinessGates", default=[])
    conditions = {c["type"]: c["status"] for c in at(pod, "status", "conditions", default=[])}
    held = sum(conditions.get(g["conditionType"]) == "True" for g in gates)
    return f"{held}/{len(gates)}" if gates else NONE


POD = (
    NAME,
    Column("Ready", ready),
    Column("Status", reason),
    Column("Restarts", restarts),
    AGE,
    Column("IP", lambda pod: at(pod, "status", "podIP", default=NONE), wide=True),
    Column("Node", lambda pod: at(pod, "spec", "nodeName", default=NONE), wide=True),
    Column("Nominated Node", lambda pod: at(pod, "status", "nominatedNodeName", default=NONE), wide=True),
    Column("Readiness Gates", _gates, wide=True),
)
