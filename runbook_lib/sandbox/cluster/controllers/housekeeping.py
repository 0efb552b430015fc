"""What keeps a cluster tidy: dependents go with their owners, namespaces end empty and begin with an account."""

from runbook_lib.sandbox.cluster.client import Api, Informer, Object, RefusedByServerError, path_of
from runbook_lib.sandbox.cluster.kinds import KINDS as ALL_KINDS
from runbook_lib.sandbox.cluster.kinds import kind

NAMESPACES = kind("namespaces")
ACCOUNTS = kind("serviceaccounts")
OWNERS = (kind("deployments", "apps"), kind("replicasets", "apps"), kind("statefulsets", "apps"), kind("jobs", "batch"))
DEPENDENTS = (kind("replicasets", "apps"), kind("pods"), kind("jobs", "batch"))
KINDS = (NAMESPACES, ACCOUNTS, *dict.fromkeys((*OWNERS, *DEPENDENTS)))
INSIDE = tuple(k for k in ALL_KINDS if k.namespaced and k.stored)


class Housekeeping:
    """Garbage collection by owner, namespaces, and their default account."""

    def __init__(self, api: Api, informer: Informer) -> None:
        self._api = api
        self._informer = informer

    async def reconcile(self) -> None:
        await self._collect()
        for namespace in self._informer.all(NAMESPACES):
            name = namespace["metadata"]["name"]
            if namespace["metadata"].get("deletionTimestamp"):
                await self._end(namespace)
            elif self._informer.get(ACCOUNTS, name, "default") is None:
                account = {"metadata": {"name": "default", "namespace": name}}
                self._informer.note(ACCOUNTS, await self._api.create(ACCOUNTS, account))

    async def _collect(self) -> None:
        """What was made by somebody who is gone goes, too; an owner deleted in the foreground waits for its own."""
        alive = {o["metadata"]["uid"] for k in OWNERS for o in self._informer.all(k)}
        leaving = {o["metadata"]["uid"] for k in OWNERS for o in self._informer.all(k) if _foreground(o)}
        held: set[str] = set()
        for of in DEPENDENTS:
            for item in self._informer.all(of):
                owners = {r["uid"] for r in item["metadata"].get("ownerReferences") or [] if r.get("controller")}
                held |= owners & leaving
                orphaned = owners and (not owners & alive or owners & leaving)
                if orphaned and not item["metadata"].get("deletionTimestamp"):
                    await self._api.delete(of, item, propagationPolicy="Background")
        for of in OWNERS:
            for item in self._informer.all(of):
                await self._let_go(of, item, held)

    async def _let_go(self, of: object, item: Object, held: set[str]) -> None:
        finalizers = item["metadata"].get("finalizers") or []
        done = "foregroundDeletion" in finalizers and item["metadata"]["uid"] not in held
        orphan = "orphan" in finalizers
        if item["metadata"].get("deletionTimestamp") and (done or orphan):
            left = [f for f in finalizers if f not in {"foregroundDeletion", "orphan"}]
            await self._api.patch(of, item, {"metadata": {"finalizers": left or None}})  # type: ignore[arg-type]

    async def _end(self, namespace: Object) -> None:
        """Deletes all that is in it, then lets it go."""
        name = namespace["metadata"]["name"]
        left = 0
        for of in INSIDE:
            answer = await self._api.call("GET", path_of(of, name), limit="1")
            if answer["items"]:
                left += 1
                await self._api.call("DELETE", path_of(of, name))
        if not left:
            try:
                await self._api.patch(NAMESPACES, namespace, {"metadata": {"finalizers": None}})
            except RefusedByServerError as error:
                if error.code != 404:
                    raise


def _foreground(item: Object) -> bool:
    metadata = item["metadata"]
    return bool(metadata.get("deletionTimestamp")) and "foregroundDeletion" in (metadata.get("finalizers") or [])
