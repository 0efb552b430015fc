"""The kinds that are served: where, under which names, and what can be done with them. One line a kind."""

from dataclasses import dataclass

EVERYTHING = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_ONLY = ("get", "list")
CREATE_ONLY = ("create",)
STATUS = ("status",)
SCALE = ("status", "scale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A resource: `group` is empty for the core one; `spec` says that a change of it makes a new generation."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = EVERYTHING
    spec: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """`deployments.apps`, as error texts and RBAC name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept; the others are questions (access reviews) or figures (metrics)."""
        return "list" in self.verbs and self.group != "metrics.k8s.io"


ALL = ("all",)
POD_PARTS = ("status", "log", "exec", "portforward", "eviction", "binding", "ephemeralcontainers", "resize")


def _core(kind: str, plural: str, *short: str, **more: object) -> Kind:
    return Kind(group="", version="v1", kind=kind, plural=plural, short=short, **more)  # type: ignore[arg-type]


def _in(group: str, version: str, kind: str, plural: str, *short: str, **more: object) -> Kind:
    return Kind(group=group, version=version, kind=kind, plural=plural, short=short, **more)  # type: ignore[arg-type]


RBAC = "rbac.authorization.k8s.io"
REVIEWS = "authorization.k8s.io"
METRICS = "metrics.k8s.io"
CERTIFICATES = "cert-manager.io"
LARGE = {"namespaced": False}
FLAT = {"spec": False}

KINDS = (
    _core("Namespace", "namespaces", "ns", subresources=("status", "finalize"), **LARGE),
    _core("Node", "nodes", "no", subresources=STATUS, **LARGE),
    _core("PersistentVolume", "persistentvolumes", "pv", subresources=STATUS, **LARGE),
    _core("Pod", "pods", "po", subresources=POD_PARTS, categories=ALL),
    _core("Service", "services", "svc", subresources=STATUS, categories=ALL),
    _core("Endpoints", "endpoints", "ep", **FLAT),
    _core("ConfigMap", "configmaps", "cm", **FLAT),
    _core("Secret", "secrets", **FLAT),
    _core("ServiceAccount", "serviceaccounts", "sa", subresources=("token",), **FLAT),
    _core("PersistentVolumeClaim", "persistentvolumeclaims", "pvc", subresources=STATUS),
    _core("ResourceQuota", "resourcequotas", "quota", subresources=STATUS),
    _core("LimitRange", "limitranges", "limits"),
    _core("ReplicationController", "replicationcontrollers", "rc", subresources=SCALE, categories=ALL),
    _core("Event", "events", "ev", **FLAT),
    _in("apps", "v1", "Deployment", "deployments", "deploy", subresources=SCALE, categories=ALL),
    _in("apps", "v1", "ReplicaSet", "replicasets", "rs", subresources=SCALE, categories=ALL),
    _in("apps", "v1", "StatefulSet", "statefulsets", "sts", subresources=SCALE, categories=ALL),
    _in("apps", "v1", "DaemonSet", "daemonsets", "ds", subresources=STATUS, categories=ALL),
    _in("apps", "v1", "ControllerRevision", "controllerrevisions", **FLAT),
    _in("batch", "v1", "Job", "jobs", subresources=STATUS, categories=ALL),
    _in("batch", "v1", "CronJob", "cronjobs", "cj", subresources=STATUS, categories=ALL),
    _in("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", subresources=STATUS),
    _in("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", subresources=STATUS),
    _in("networking.k8s.io", "v1", "Ingress", "ingresses", "ing", subresources=STATUS),
    _in("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol"),
    _in("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", **FLAT),
    _in("coordination.k8s.io", "v1", "Lease", "leases"),
    _in("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", namespaced=False, spec=False),
    _in(RBAC, "v1", "Role", "roles", **FLAT),
    _in(RBAC, "v1", "RoleBinding", "rolebindings", **FLAT),
    _in(RBAC, "v1", "ClusterRole", "clusterroles", namespaced=False, spec=False),
    _in(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False, spec=False),
    _in(REVIEWS, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", verbs=CREATE_ONLY, **LARGE),
    _in(REVIEWS, "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", verbs=CREATE_ONLY, **LARGE),
    _in(REVIEWS, "v1", "SubjectAccessReview", "subjectaccessreviews", verbs=CREATE_ONLY, **LARGE),
    _in("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd", namespaced=False),
    _in(CERTIFICATES, "v1", "Certificate", "certificates", "cert", "certs", subresources=STATUS),
    _in(CERTIFICATES, "v1", "CertificateRequest", "certificaterequests", "cr", "crs", subresources=STATUS),
    _in(CERTIFICATES, "v1", "Issuer", "issuers", subresources=STATUS),
    _in(CERTIFICATES, "v1", "ClusterIssuer", "clusterissuers", subresources=STATUS, namespaced=False),
    _in(METRICS, "v1beta1", "PodMetrics", "pods", verbs=READ_ONLY),
    _in(METRICS, "v1beta1", "NodeMetrics", "nodes", verbs=READ_ONLY, **LARGE),
)


class Registry:
    """The kinds of one cluster: those above, and what a snapshot brings along."""

    def __init__(self) -> None:
        self._by_path = {(k.group, k.version, k.plural): k for k in KINDS}
        self._by_name = {(k.api_version, k.kind): k for k in KINDS}

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_path.get((group, version, plural))

    def named(self, api_version: str, name: str) -> Kind | None:
        return self._by_name.get((api_version, name))

    def all(self) -> list[Kind]:
        return list(self._by_path.values())

    def versions(self) -> dict[str, list[str]]:
        """The versions of each group."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._by_path:
            if version not in found.setdefault(group, []):
                found[group].append(version)
        return found

    def add(self, kind: Kind) -> Kind:
        self._by_path[kind.group, kind.version, kind.plural] = kind
        self._by_name[kind.api_version, kind.kind] = kind
        return kind

    def guess(self, api_version: str, name: str, *, namespaced: bool) -> Kind:
        """A kind that nobody declared, with the plural that its name suggests."""
        group, _, version = api_version.rpartition("/")
        lower = name.lower()
        plural = (
            f"{lower[:-1]}ies" if lower.endswith("y") else f"{lower}es" if lower.endswith(("s", "x")) else f"{lower}s"
        )
        of = {"group": group, "version": version, "kind": name, "plural": plural, "namespaced": namespaced}
        return self.add(Kind(**of, subresources=STATUS))  # type: ignore[arg-type]


_BUILT_IN = {(k.group, k.plural): k for k in KINDS}


def kind(name: str, group: str = "") -> Kind:
    """One of those above, by its plural. Raises KeyError."""
    return _BUILT_IN[group, name]
