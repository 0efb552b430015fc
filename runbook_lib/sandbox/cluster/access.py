"""Who may do what: tokens, RBAC by roles and bindings, and the reviews that ask about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runbook_lib.sandbox.cluster.kinds import Kind, kind
from runbook_lib.sandbox.cluster.status import forbidden
from runbook_lib.sandbox.cluster.store import Object, Store

RBAC = "rbac.authorization.k8s.io"
MASTERS = "system:masters"
OPEN_PATHS = ("/version", "/healthz", "/livez", "/readyz", "/api", "/apis", "/openapi")


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ("system:authenticated",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that somebody wants to do."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def what(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Access:
    """Decides by what is stored, so a binding that is changed counts from the next request on."""

    def __init__(self, store: Store, tokens: Mapping[str, User], grants: Mapping[str, list[Object]]) -> None:
        """`grants` are rules by user name beside those that are stored: a snapshot is served as it was."""
        self._store = store
        self._tokens = tokens
        self._grants = grants

    def user(self, authorization: str) -> User | None:
        scheme, _, token = authorization.partition(" ")
        return self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None

    def allowed(self, user: User, act: Act) -> bool:
        return MASTERS in user.groups or any(_covers(rule, act) for rule in self._rules(user, act.namespace))

    def demand(self, user: User, of: Kind, act: Act) -> None:
        """Raises ApiError (403) in the server's own words."""
        if self.allowed(user, act):
            return
        where = f'in the namespace "{act.namespace}"' if act.namespace else "at the cluster scope"
        resource = f"{act.what}.{of.group}" if of.group and not act.subresource else act.what
        named = f' "{act.name}"' if act.name else ""
        message = (
            f'{resource}{named} is forbidden: User "{user.name}" cannot {act.verb} resource "{act.what}" '
            f'in API group "{act.group}" {where}'
        )
        raise forbidden(message, of, act.name)

    def _rules(self, user: User, namespace: str) -> Iterator[Object]:
        yield from self._grants.get(user.name, [])
        for binding in self._store.objects(kind("clusterrolebindings", RBAC)):
            if _binds(binding, user, ""):
                yield from self._of_role(binding, "")
        if namespace:
            for binding in self._store.objects(kind("rolebindings", RBAC), namespace):
                if _binds(binding, user, namespace):
                    yield from self._of_role(binding, namespace)

    def _of_role(self, binding: Object, namespace: str) -> list[Object]:
        of = kind("roles", RBAC) if binding["roleRef"]["kind"] == "Role" else kind("clusterroles", RBAC)
        entry = self._store.find(of, (namespace if of.namespaced else "", binding["roleRef"]["name"]))
        return list(entry.load().get("rules") or []) if entry else []

    def review(self, user: User, item: Object) -> Object:
        """A SelfSubjectAccessReview, or a SubjectAccessReview of somebody else, with its answer."""
        spec = item.get("spec") or {}
        if spec.get("user"):
            user = User(str(spec["user"]), tuple(spec.get("groups") or ()))
        asked = spec.get("resourceAttributes")
        if asked is None:
            path = str((spec.get("nonResourceAttributes") or {}).get("path", ""))
            allowed = MASTERS in user.groups or path.startswith(OPEN_PATHS)
        else:
            resource, _, sub = str(asked.get("resource", "")).partition("/")
            act = Act(
                verb=str(asked.get("verb", "")),
                group=str(asked.get("group", "")),
                resource=resource,
                subresource=str(asked.get("subresource") or sub),
                namespace=str(asked.get("namespace", "")),
                name=str(asked.get("name", "")),
            )
            allowed = self.allowed(user, act)
        return {**item, "status": {"allowed": allowed}}

    def rules_review(self, user: User, item: Object) -> Object:
        """A SelfSubjectRulesReview with all rules of the user in one namespace."""
        namespace = str((item.get("spec") or {}).get("namespace", ""))
        everything: dict[str, Any] = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        rules = [everything] if MASTERS in user.groups else list(self._rules(user, namespace))
        open_paths = [{"verbs": ["get"], "nonResourceURLs": [*OPEN_PATHS]}]
        shown = [{k: v for k, v in rule.items() if v} for rule in rules]
        return {**item, "status": {"resourceRules": shown, "nonResourceRules": open_paths, "incomplete": False}}


def _covers(rule: Mapping[str, Any], act: Act) -> bool:
    def has(field: str, *values: str) -> bool:
        given = rule.get(field) or []
        return "*" in given or any(value in given for value in values)

    resources = [act.what, f"*/{act.subresource}"] if act.subresource else [act.what]
    names = rule.get("resourceNames") or []
    return (
        has("verbs", act.verb)
        and has("apiGroups", act.group)
        and has("resources", *resources)
        and (not names or act.name in names)
    )


def _binds(binding: Mapping[str, Any], user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or []:
        if subject["kind"] == "User" and subject["name"] == user.name:
            return True
        if subject["kind"] == "Group" and subject["name"] in user.groups:
            return True
        account = f"system:serviceaccount:{subject.get('namespace', namespace)}:{subject['name']}"
        if subject["kind"] == "ServiceAccount" and user.name == account:
            return True
    return False
