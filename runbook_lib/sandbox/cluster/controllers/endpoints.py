"""Endpoints: the ready pods that a service's selector chooses, by the port that they give it."""

from typing import Any

from runbook_lib.sandbox.cluster import selectors
from runbook_lib.sandbox.cluster.client import Api, Informer, Object
from runbook_lib.sandbox.cluster.controllers.replica_sets import PODS, is_ready
from runbook_lib.sandbox.cluster.kinds import kind

SERVICES = kind("services")
ENDPOINTS = kind("endpoints")
KINDS = (SERVICES, ENDPOINTS, PODS)


class Endpoints:
    """Keeps an Endpoints object beside every service that has a selector."""

    def __init__(self, api: Api, informer: Informer) -> None:
        self._api = api
        self._informer = informer

    async def reconcile(self) -> None:
        for service in self._informer.all(SERVICES):
            if service["spec"].get("selector"):
                await self._one(service)
        for item in self._informer.all(ENDPOINTS):
            key = (item["metadata"]["namespace"], item["metadata"]["name"])
            if self._informer.get(SERVICES, *key) is None:
                await self._api.delete(ENDPOINTS, item)

    async def _one(self, service: Object) -> None:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        subsets = self._subsets(service)
        present = self._informer.get(ENDPOINTS, namespace, name)
        if present is None:
            made = {"metadata": {"name": name, "namespace": namespace}, "subsets": subsets}
            self._informer.note(ENDPOINTS, await self._api.create(ENDPOINTS, made))
        elif (present.get("subsets") or []) != subsets:
            after = await self._api.patch(ENDPOINTS, present, {"subsets": subsets or None})
            self._informer.note(ENDPOINTS, after)

    def _subsets(self, service: Object) -> list[Object]:
        tests = selectors.of({"matchLabels": service["spec"]["selector"]})
        chosen = [
            pod
            for pod in self._informer.all(PODS, service["metadata"]["namespace"])
            if selectors.matches(tests, pod["metadata"].get("labels") or {})
            and (pod.get("status") or {}).get("podIP")
            and not pod["metadata"].get("deletionTimestamp")
        ]
        ready = [_address(pod) for pod in chosen if is_ready(pod)]
        waiting = [_address(pod) for pod in chosen if not is_ready(pod)]
        if not chosen:
            return []
        ports = [_port(port, chosen[0]) for port in service["spec"].get("ports") or []]
        subset: dict[str, Any] = {"addresses": ready} if ready else {}
        subset |= {"notReadyAddresses": waiting} if waiting else {}
        return [{**subset, "ports": ports}]


def _address(pod: Object) -> Object:
    about = {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    target = {**about, "uid": pod["metadata"]["uid"]}
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName"), "targetRef": target}


def _port(port: Object, pod: Object) -> Object:
    number = port.get("targetPort", port["port"])
    if isinstance(number, str):
        named = (p for c in pod["spec"]["containers"] for p in c.get("ports") or [] if p.get("name") == number)
        number = next((p["containerPort"] for p in named), port["port"])
    return {"port": number, "protocol": port.get("protocol", "TCP")} | (
        {"name": port["name"]} if "name" in port else {}
    )
