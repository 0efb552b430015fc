"""Objects as the lines that `kubectl get` shows: the `Table` of meta.k8s.io/v1."""

from collections.abc import Iterable
from typing import Any

from runbook_lib.sandbox.cluster.kinds import Kind
from runbook_lib.sandbox.cluster.printing import others, pods, workloads
from runbook_lib.sandbox.cluster.printing.values import AGE, NAME, Column, Object

COLUMNS: dict[str, tuple[Column, ...]] = {
    **others.COLUMNS,
    "Role": others.ROLES,
    "ClusterRole": others.ROLES,
    "Pod": pods.POD,
    "Deployment": workloads.DEPLOYMENT,
    "ReplicaSet": workloads.REPLICA_SET,
    "StatefulSet": workloads.STATEFUL_SET,
    "DaemonSet": workloads.DAEMON_SET,
    "Job": workloads.JOB,
    "CronJob": workloads.CRON_JOB,
    "HorizontalPodAutoscaler": workloads.AUTOSCALER,
    "PodDisruptionBudget": workloads.BUDGET,
}
PLAIN = (NAME, AGE)


def columns(kind: Kind) -> tuple[Column, ...]:
    return COLUMNS.get(kind.kind, PLAIN)


def table(kind: Kind, items: Iterable[Object], metadata: dict[str, Any], *, whole: str, headed: bool = True) -> Object:
    """`whole` is `includeObject`: None, Metadata or Object. A watch sends the columns only once (`headed`)."""
    defined = columns(kind)
    heads = [
        {"name": c.name, "type": c.type, "format": c.format, "description": "", "priority": int(c.wide)}
        for c in defined
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": heads if headed else [],
        "rows": [{"cells": [c.value(i) for c in defined], **_object(kind, i, whole)} for i in items],
    }


def _object(kind: Kind, item: Object, whole: str) -> dict[str, Any]:
    if whole == "None":
        return {}
    if whole == "Object":
        return {"object": {"kind": kind.kind, "apiVersion": kind.api_version, **item}}
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
    return {"object": partial}
