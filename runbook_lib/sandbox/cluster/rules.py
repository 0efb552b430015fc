"""What makes an object of a kind a whole and valid one: defaults, addresses, immutable fields, 422."""

import ipaddress
import re
from typing import Any

from runbook_lib.sandbox.cluster import defaults, selectors
from runbook_lib.sandbox.cluster.kinds import Kind, kind
from runbook_lib.sandbox.cluster.status import bad_request, invalid
from runbook_lib.sandbox.cluster.store import Object, Store

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
SERVICES = ipaddress.ip_network("10.96.0.0/16")
MAKERS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")
FREE_NAMES = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
SELECTING = ("Deployment", "ReplicaSet", "StatefulSet")
Cause = tuple[str, str, str]


def complete(of: Kind, item: Object, store: Store) -> None:
    """Defaults, and what the server itself hands out."""
    try:
        defaults.fill(of.kind, item)
    except (AttributeError, TypeError) as error:
        raise bad_request(f"{of.kind} in version {of.version!r} cannot be handled: {error}") from error
    if of.kind == "Service" and item["spec"]["type"] != "ExternalName":
        address = item["spec"].get("clusterIP")
        if address is None:
            item["spec"]["clusterIP"] = address = _free_address(store)
        item["spec"].setdefault("clusterIPs", [address])
        item["spec"].setdefault("ipFamilies", ["IPv4"])
        item["spec"].setdefault("ipFamilyPolicy", "SingleStack")
    if of.kind == "Job" and "selector" not in item["spec"]:
        _own_selector(item)


def _free_address(store: Store) -> str:
    taken = {s["spec"].get("clusterIP") for s in store.objects(kind("services"))}
    return next(str(a) for a in list(SERVICES.hosts())[9:] if str(a) not in taken)


def _own_selector(job: Object) -> None:
    """A job chooses its pods by its own uid."""
    import uuid

    uid = job["metadata"].setdefault("uid", str(uuid.uuid4()))
    labels = {"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid}
    named = {"batch.kubernetes.io/job-name": job["metadata"]["name"], "job-name": job["metadata"]["name"]}
    metadata = job["spec"]["template"]["metadata"]
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels, **named}
    job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def check(of: Kind, item: Object, before: Object | None) -> None:
    """Raises ApiError (422) with every cause."""
    name = item["metadata"].get("name") or ""
    causes: list[Cause] = []
    if not name:
        causes.append(("metadata.name", "FieldValueRequired", "Required value: name or generateName is required"))
    elif of.kind not in FREE_NAMES and (not SUBDOMAIN.fullmatch(name) or len(name) > 253):
        causes.append(("metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {LABEL_WORDS}'))
    spec = item.get("spec") or {}
    if of.kind in MAKERS:
        causes += _pod_spec((spec.get("template") or {}).get("spec") or {}, "spec.template.spec")
    if of.kind == "Pod":
        causes += _pod_spec(spec, "spec")
    if of.kind in SELECTING:
        causes += _selecting(spec)
    replicas = spec.get("replicas")
    if isinstance(replicas, int) and replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        causes.append(("spec.replicas", "FieldValueInvalid", message))
    if before is not None:
        causes += _immutable(of, item, before)
    if causes:
        raise invalid(of, name, causes)


def _pod_spec(spec: Object, path: str) -> list[Cause]:
    containers = spec.get("containers") or []
    causes: list[Cause] = []
    if not containers:
        causes.append((f"{path}.containers", "FieldValueRequired", "Required value"))
    seen: set[str] = set()
    for number, container in enumerate(containers):
        place = f"{path}.containers[{number}]"
        name = container.get("name") or ""
        if not name:
            causes.append((f"{place}.name", "FieldValueRequired", "Required value"))
        elif name in seen:
            causes.append((f"{place}.name", "FieldValueDuplicate", f'Duplicate value: "{name}"'))
        elif not LABEL.fullmatch(name):
            causes.append(
                (f"{place}.name", "FieldValueInvalid", f'Invalid value: "{name}": a lowercase RFC 1123 label')
            )
        seen.add(name)
        if not container.get("image"):
            causes.append((f"{place}.image", "FieldValueRequired", "Required value"))
    return causes


def _selecting(spec: Object) -> list[Cause]:
    selector = spec.get("selector")
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        return [("spec.selector", "FieldValueRequired", "Required value")]
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selectors.matches(selectors.of(selector), labels):
        shown = _go_map(labels)
        message = f"Invalid value: {shown}: `selector` does not match template `labels`"
        return [("spec.template.metadata.labels", "FieldValueInvalid", message)]
    return []


def _go_map(labels: dict[str, str]) -> str:
    inside = ", ".join(f'"{k}":"{v}"' for k, v in sorted(labels.items()))
    return f"map[string]string{{{inside}}}"


IMMUTABLE: dict[str, tuple[str, ...]] = {
    "Deployment": ("selector",),
    "ReplicaSet": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates"),
    "Job": ("selector", "template", "completionMode"),
    "Service": ("clusterIP",),
}
POD_MAY_CHANGE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName", "containers")


def _immutable(of: Kind, item: Object, before: Object) -> list[Cause]:
    spec, old = item.get("spec") or {}, before.get("spec") or {}
    causes = [
        (f"spec.{field}", "FieldValueInvalid", "Invalid value: field is immutable")
        for field in IMMUTABLE.get(of.kind, ())
        if spec.get(field) != old.get(field)
    ]
    if of.kind == "Pod" and _fixed(spec) != _fixed(old):
        message = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)"
        )
        causes.append(("spec", "FieldValueForbidden", message))
    if of.kind in {"ConfigMap", "Secret"} and before.get("immutable"):
        message = "Forbidden: field is immutable when `immutable` is set"
        changed = [field for field in ("data", "binaryData") if item.get(field) != before.get(field)]
        causes += [(field, "FieldValueForbidden", message) for field in changed]
    return causes


def _fixed(spec: Object) -> Any:
    """The part of a pod's spec that nobody may change."""
    rest = {k: v for k, v in spec.items() if k not in POD_MAY_CHANGE}
    containers = [{k: v for k, v in c.items() if k != "image"} for c in spec.get("containers") or []]
    return rest, containers


def admit(of: Kind, item: Object, store: Store) -> None:
    """What has to be so around an object before it may come into being."""
    if of.kind == "Pod":
        namespace, account = item["metadata"]["namespace"], item["spec"]["serviceAccountName"]
        if store.find(kind("serviceaccounts"), (namespace, account)) is None:
            from runbook_lib.sandbox.cluster.status import forbidden

            name = item["metadata"]["name"]
            why = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
            raise forbidden(f'pods "{name}" is forbidden: {why}', of, name)


def scale_of(item: Object) -> Object:
    """The `Scale` of something that has replicas."""
    metadata = {k: v for k, v in item["metadata"].items() if k in {"name", "namespace", "uid", "resourceVersion"}}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {**metadata, "creationTimestamp": item["metadata"].get("creationTimestamp")},
        "spec": {"replicas": replicas} if (replicas := (item.get("spec") or {}).get("replicas", 0)) else {},
        "status": {
            "replicas": (item.get("status") or {}).get("replicas", 0),
            "selector": selectors.text_of((item.get("spec") or {}).get("selector")),
        },
    }
