"""What controllers and kubelet speak with an API server by: REST and watches, as any other client."""

import asyncio
import base64
import logging
import ssl
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import yaml

from runbook_lib.sandbox.cluster.kinds import Kind

Object = dict[str, Any]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
RETRY_SECONDS = 0.5
REMEMBERED = 1000
"""Deleted objects that are remembered, so that an answer that comes late does not bring them back."""
log = logging.getLogger(__name__)


class RefusedByServerError(Exception):
    """The server said no: `code` and its own words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """One user's way to one cluster, by a kubeconfig and one of its contexts."""

    def __init__(self, kubeconfig: Path, context: str = "") -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        wanted = context or config["current-context"]
        chosen = next(c["context"] for c in config["contexts"] if c["name"] == wanted)
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == chosen["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == chosen["user"])
        headers = {"authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self.client = httpx.AsyncClient(
            base_url=cluster["server"], verify=_trust(cluster, user), headers=headers, timeout=10, trust_env=False
        )

    async def call(self, method: str, path: str, body: Object | None = None, **options: Any) -> Object:
        """The answer's object. Raises RefusedByServerError."""
        headers = {"content-type": options.pop("type", "application/json")}
        content = orjson.dumps(body) if body is not None else None
        answer = await self.client.request(method, path, content=content, headers=headers, params=options)
        value: Object = answer.json()
        if answer.status_code >= 400:
            raise RefusedByServerError(answer.status_code, str(value.get("message", "")))
        return value

    async def create(self, kind: Kind, item: Object) -> Object:
        return await self.call("POST", path_of(kind, item["metadata"].get("namespace", "")), item)

    async def patch(self, kind: Kind, item: Object, change: Object, sub: str = "", form: str = MERGE) -> Object:
        """Of an object, or of one of its subresources; by default a merge patch."""
        return await self.call("PATCH", path_of(kind, *_key(item), sub), change, type=form)

    async def delete(self, kind: Kind, item: Object, **options: Any) -> Object:
        body = {"preconditions": {"uid": item["metadata"]["uid"]}, **options}
        return await self.call("DELETE", path_of(kind, *_key(item)), body)


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])


def path_of(kind: Kind, namespace: str = "", name: str = "", sub: str = "") -> str:
    group = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    place = f"{group}/namespaces/{namespace}/{kind.plural}" if namespace else f"{group}/{kind.plural}"
    return "/".join(filter(None, (place, name, sub)))


def _trust(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    """The cluster's authority, and the user's certificate where there is one, from files or from the text itself."""
    authority = cluster.get("certificate-authority")
    data = cluster.get("certificate-authority-data")
    trust = ssl.create_default_context(cafile=authority, cadata=base64.b64decode(data).decode() if data else None)
    if "client-certificate" in user:
        trust.load_cert_chain(user["client-certificate"], user["client-key"])
    elif "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile("wb") as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]))
            pair.write(base64.b64decode(user["client-key-data"]))
            pair.flush()
            trust.load_cert_chain(pair.name)
    return trust


class Informer:
    """A copy of some kinds, kept up to date by watches; `changed` is set at each change."""

    def __init__(self, api: Api, kinds: Iterable[Kind], fields: Mapping[str, str] | None = None) -> None:
        self._api = api
        self._fields = fields or {}
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {kind: {} for kind in kinds}
        self._synced: dict[Kind, asyncio.Event] = {kind: asyncio.Event() for kind in self._objects}
        self._gone: deque[str] = deque(maxlen=REMEMBERED)
        self.changed = asyncio.Event()

    def all(self, kind: Kind, namespace: str = "") -> list[Object]:
        found = self._objects[kind]
        return [found[key] for key in sorted(found) if not namespace or key[0] == namespace]

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return self._objects[kind].get((namespace, name))

    def note(self, kind: Kind, item: Object) -> None:
        """Takes in what we have just written ourselves, unless the watch knows better already."""
        known = self._objects[kind].get(_key(item))
        newer = known is None or _version(known) < _version(item)
        if newer and item["metadata"]["uid"] not in self._gone:
            self._objects[kind][_key(item)] = item

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Starts the watches and returns once everything was listed."""
        for kind in self._objects:
            tasks.create_task(self._keep(kind))
        for synced in self._synced.values():
            await synced.wait()

    async def _keep(self, kind: Kind) -> None:
        while True:
            try:
                await self._watch(kind, await self._list(kind))
            except (httpx.HTTPError, RefusedByServerError, ValueError) as error:
                log.warning("%s: %s; listing again", kind.plural, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _list(self, kind: Kind) -> str:
        chosen = self._options(kind)
        answer = await self._api.call("GET", path_of(kind), **chosen)
        self._objects[kind] = {_key(item): item for item in answer["items"]}
        self._synced[kind].set()
        self.changed.set()
        return str(answer["metadata"]["resourceVersion"])

    def _options(self, kind: Kind) -> dict[str, Any]:
        return {"fieldSelector": self._fields[kind.plural]} if kind.plural in self._fields else {}

    async def _watch(self, kind: Kind, version: str) -> None:
        options = {**self._options(kind), "watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        patience = httpx.Timeout(10, read=None)
        async with self._api.client.stream("GET", path_of(kind), params=options, timeout=patience) as answer:
            async for line in answer.aiter_lines():
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise RefusedByServerError(event["object"]["code"], event["object"]["message"])
                self._take(kind, event["type"], event["object"])

    def _take(self, kind: Kind, change: str, item: Object) -> None:
        if change == "BOOKMARK":
            return
        if change == "DELETED":
            self._gone.append(item["metadata"]["uid"])
            self._objects[kind].pop(_key(item), None)
        else:
            self._objects[kind][_key(item)] = item
        self.changed.set()


Reconcile = Callable[[], Any]


async def forever(informer: Informer, reconcile: Reconcile, at_least_every: float) -> None:
    """Calls `reconcile` after each change, and now and then without one; what the server refuses is tried again."""
    while True:
        informer.changed.clear()
        try:
            await reconcile()
        except RefusedByServerError as error:
            if error.code not in {404, 409}:  # somebody else was first: the next turn sees it
                log.warning("%s", error)
            informer.changed.set()
            await asyncio.sleep(0.05)
        except httpx.HTTPError as error:
            log.warning("%s", error)
            await asyncio.sleep(RETRY_SECONDS)
        try:
            await asyncio.wait_for(informer.changed.wait(), at_least_every)
        except TimeoutError:
            continue
