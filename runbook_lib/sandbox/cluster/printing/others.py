"""Lines of all that is no pod and makes none."""

from collections.abc import Mapping
from typing import Any

from runbook_lib.sandbox.cluster.printing.values import AGE, NAME, NONE, UNKNOWN, Column, Object, ago, at, column

PHASE = column("Status", "status", "phase")


def _condition(item: Object, kind: str) -> str:
    return next((c["status"] for c in at(item, "status", "conditions", default=[]) if c["type"] == kind), "Unknown")


def _node_status(node: Object) -> str:
    words = ["Ready" if _condition(node, "Ready") == "True" else "NotReady"]
    if not at(node, "status", "conditions"):
        words = ["Unknown"]
    words += ["SchedulingDisabled"] if at(node, "spec", "unschedulable") else []
    return ",".join(words)


def _roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(k.removeprefix(prefix) for k in labels if k.startswith(prefix))) or NONE


def _address(node: Object, kind: str) -> str:
    return next((a["address"] for a in at(node, "status", "addresses", default=[]) if a["type"] == kind), NONE)


def _info(name: str) -> Column:
    titles = {"osImage": "OS-Image", "kernelVersion": "Kernel-Version", "containerRuntimeVersion": "Container-Runtime"}
    return column(titles[name], "status", "nodeInfo", name, default=UNKNOWN, wide=True)


NODE = (
    NAME,
    Column("Status", _node_status),
    Column("Roles", _roles),
    AGE,
    column("Version", "status", "nodeInfo", "kubeletVersion"),
    Column("Internal-IP", lambda i: _address(i, "InternalIP"), wide=True),
    Column("External-IP", lambda i: _address(i, "ExternalIP"), wide=True),
    _info("osImage"),
    _info("kernelVersion"),
    _info("containerRuntimeVersion"),
)


def _ports(service: Object) -> str:
    shown = []
    for port in at(service, "spec", "ports", default=[]):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def _selector(service: Object) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(at(service, "spec", "selector", default={}).items())) or NONE


SERVICE = (
    NAME,
    column("Type", "spec", "type"),
    column("Cluster-IP", "spec", "clusterIP", default=NONE),
    column("External-IP", "spec", "externalName", default=NONE),
    Column("Port(s)", _ports),
    AGE,
    Column("Selector", _selector, wide=True),
)


def _endpoints(item: Object) -> str:
    found = []
    for subset in item.get("subsets") or []:
        for port in subset.get("ports") or [{}]:
            suffix = f":{port['port']}" if "port" in port else ""
            found += [f"{a['ip']}{suffix}" for a in subset.get("addresses") or []]
    return ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "") or NONE


def _message(event: Object) -> str:
    return str(event.get("message", "")).strip()


def _object(event: Object) -> str:
    about = event.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


def _seen(event: Object) -> str:
    last = event.get("lastTimestamp") or at(event, "series", "lastObservedTime") or event.get("eventTime")
    return ago(last)


def _source(event: Object) -> str:
    source = event.get("source") or {}
    return ", ".join(filter(None, (source.get("component") or event.get("reportingComponent"), source.get("host"))))


def _first(event: Object) -> str:
    return ago(event.get("firstTimestamp") or event.get("eventTime"))


EVENT = (
    Column("Last Seen", _seen),
    column("Type", "type"),
    column("Reason", "reason"),
    Column("Object", _object),
    column("Subobject", "involvedObject", "fieldPath", wide=True),
    Column("Source", _source, wide=True),
    Column("Message", _message),
    Column("First Seen", _first, wide=True),
    Column("Count", lambda e: e.get("count") or at(e, "series", "count") or 1, type="integer", wide=True),
    Column("Name", lambda e: e["metadata"]["name"], format="name", wide=True),
)


def _data(item: Object) -> int:
    return len(item.get("data") or {}) + len(item.get("binaryData") or {})


def _quota(part: str) -> Column:
    """`cpu: 1/2, pods: 3/10` of the requests, or of the limits."""

    def value(quota: Object) -> str:
        hard, used = at(quota, "status", "hard", default={}), at(quota, "status", "used", default={})
        names = [n for n in sorted(hard) if n.startswith("limits.") == (part == "Limit")]
        return ", ".join(f"{n}: {used.get(n, 0)}/{hard[n]}" for n in names)

    return Column(part, value)


def _modes(claim: Object) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    modes = at(claim, "status", "accessModes") or at(claim, "spec", "accessModes", default=[])
    return ",".join(short.get(m, m) for m in modes)


CLAIM = (
    NAME,
    PHASE,
    column("Volume", "spec", "volumeName"),
    column("Capacity", "status", "capacity", "storage"),
    Column("Access Modes", _modes),
    column("StorageClass", "spec", "storageClassName"),
    column("VolumeAttributesClass", "spec", "volumeAttributesClassName", default="<unset>"),
    AGE,
    column("VolumeMode", "spec", "volumeMode", default="Filesystem", wide=True),
)


def _binding(role: Object) -> str:
    return f"{at(role, 'roleRef', 'kind')}/{at(role, 'roleRef', 'name')}"


CERTIFICATE = (
    NAME,
    Column("Ready", lambda i: _condition(i, "Ready").replace("Unknown", "")),
    column("Secret", "spec", "secretName"),
    column("Issuer", "spec", "issuerRef", "name", wide=True),
    Column(
        "Status",
        lambda i: next(
            (c.get("message", "") for c in at(i, "status", "conditions", default=[]) if c["type"] == "Ready"), ""
        ),
        wide=True,
    ),
    AGE,
)


def _usage(name: str) -> Column:
    title = {"cpu": "cpu", "memory": "memory"}[name]

    def value(item: Object) -> str:
        if "usage" in item:
            return str(at(item, "usage", name, default=""))
        return ",".join(str(at(c, "usage", name, default="")) for c in item.get("containers") or [])

    return Column(title, value)


USAGE = (NAME, _usage("cpu"), _usage("memory"), column("window", "window"))
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "Namespace": (NAME, PHASE, AGE),
    "Node": NODE,
    "Service": SERVICE,
    "Endpoints": (NAME, Column("Endpoints", _endpoints), AGE),
    "ConfigMap": (NAME, Column("Data", _data, type="integer"), AGE),
    "Secret": (NAME, column("Type", "type"), Column("Data", _data, type="integer"), AGE),
    "ServiceAccount": (NAME, Column("Secrets", lambda i: len(i.get("secrets") or []), type="integer"), AGE),
    "Event": EVENT,
    "ResourceQuota": (NAME, _quota("Request"), _quota("Limit"), AGE),
    "PersistentVolumeClaim": CLAIM,
    "RoleBinding": (NAME, Column("Role", _binding), AGE),
    "ClusterRoleBinding": (NAME, Column("Role", _binding), AGE),
    "Certificate": CERTIFICATE,
    "PodMetrics": USAGE,
    "NodeMetrics": USAGE,
}
CREATED = Column("Created At", lambda item: str(item["metadata"].get("creationTimestamp", "")))
ROLES: tuple[Any, ...] = (NAME, CREATED)
