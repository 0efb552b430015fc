"""What the real API server fills in where a person left it out."""

from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def fill(kind: str, item: Object) -> None:
    """Fills in the defaults of a kind, in place."""
    if kind in FILLERS:
        FILLERS[kind](item)


def _set(item: Object, **values: Any) -> None:
    for name, value in values.items():
        if item.get(name) is None:
            item[name] = value


def _pod_spec(spec: Object) -> None:
    _set(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        if isinstance(container, dict):
            _container(container)
    for volume in spec.get("volumes") or []:
        for source in ("configMap", "secret"):
            if isinstance(volume.get(source), dict):
                _set(volume[source], defaultMode=420)


def _container(container: Object) -> None:
    _, _, tag = str(container.get("image", "")).rpartition("/")[2].partition(":")
    _set(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy="IfNotPresent" if tag and tag != "latest" else "Always",
        resources={},
    )
    limits, requests = container["resources"].get("limits") or {}, container["resources"].get("requests") or {}
    missing = {name: value for name, value in limits.items() if name not in requests}
    if missing:
        container["resources"]["requests"] = {**requests, **missing}
    for port in container.get("ports") or []:
        _set(port, protocol="TCP")
    for variable in container.get("env") or []:
        if "fieldRef" in (variable.get("valueFrom") or {}):
            _set(variable["valueFrom"]["fieldRef"], apiVersion="v1")
    for name in PROBES:
        if isinstance(container.get(name), dict):
            _set(container[name], timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            if "httpGet" in container[name]:
                _set(container[name]["httpGet"], path="/", scheme="HTTP")


def _pod(item: Object) -> None:
    spec = item.setdefault("spec", {})
    _pod_spec(spec)
    _set(
        spec, serviceAccountName="default", enableServiceLinks=True, priority=0, preemptionPolicy="PreemptLowerPriority"
    )
    item.setdefault("status", {}).setdefault("phase", "Pending")
    item["status"].setdefault("qosClass", _quality(spec))


def _quality(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, by what the containers request and may use."""
    resources = [c.get("resources") or {} for c in spec.get("containers") or []]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    whole = all(
        (r.get("limits") or {}).get(name) and (r.get("requests") or {}).get(name) == r["limits"][name]
        for r in resources
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if whole else "Burstable"


def _template(item: Object) -> Object:
    spec: Object = item.setdefault("spec", {})
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    _pod_spec(template.setdefault("spec", {}))
    return spec


def _deployment(item: Object) -> None:
    spec = _template(item)
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600, strategy={})
    _set(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        spec["strategy"].setdefault("rollingUpdate", {})
        _set(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")


def _replica_set(item: Object) -> None:
    _set(_template(item), replicas=1)


def _stateful_set(item: Object) -> None:
    spec = _template(item)
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady", updateStrategy={})
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={"partition": 0})


def _job(item: Object) -> None:
    spec = _template(item)
    _set(spec, backoffLimit=6, parallelism=1, suspend=False, completionMode="NonIndexed", manualSelector=None)
    spec.pop("manualSelector", None)
    if spec.get("parallelism") == 1:
        _set(spec, completions=1)


def _cron_job(item: Object) -> None:
    spec = item.setdefault("spec", {})
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    _job(spec.setdefault("jobTemplate", {}))


def _service(item: Object) -> None:
    spec = item.setdefault("spec", {})
    _set(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
    for port in spec.get("ports") or []:
        _set(port, protocol="TCP", targetPort=port.get("port"))


def _claim(item: Object) -> None:
    _set(item.setdefault("spec", {}), volumeMode="Filesystem")
    item.setdefault("status", {}).setdefault("phase", "Pending")


def _secret(item: Object) -> None:
    _set(item, type="Opaque")
    texts: Mapping[str, str] = item.pop("stringData", None) or {}
    if texts:
        import base64

        item["data"] = {
            **(item.get("data") or {}),
            **{k: base64.b64encode(v.encode()).decode() for k, v in texts.items()},
        }


def _namespace(item: Object) -> None:
    item.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    item.setdefault("status", {}).setdefault("phase", "Active")
    item["metadata"].setdefault("labels", {}).setdefault("kubernetes.io/metadata.name", item["metadata"].get("name"))


def _autoscaler(item: Object) -> None:
    _set(item.setdefault("spec", {}), minReplicas=1)


FILLERS: Mapping[str, Callable[[Object], None]] = {
    "Pod": _pod,
    "Deployment": _deployment,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "Job": _job,
    "CronJob": _cron_job,
    "Service": _service,
    "PersistentVolumeClaim": _claim,
    "Secret": _secret,
    "Namespace": _namespace,
    "HorizontalPodAutoscaler": _autoscaler,
}
