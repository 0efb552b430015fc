"""The server: who asks, may they, what do they ask, and what was asked (the audit log)."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import IO

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from runbook_lib.sandbox.cluster import logs, status
from runbook_lib.sandbox.cluster.access import Access, Act, User
from runbook_lib.sandbox.cluster.discovery import Discovery
from runbook_lib.sandbox.cluster.kinds import Registry
from runbook_lib.sandbox.cluster.requests import JSON, Wanted, decoded, understand
from runbook_lib.sandbox.cluster.resources import Resources
from runbook_lib.sandbox.cluster.store import Store, timestamp
from runbook_lib.sandbox.cluster.watching import start, watch

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
HEALTH = ("/healthz", "/livez", "/readyz")
LOGS = ("", "pods", "log")


class Cluster:
    """One API: its store, its rules of access, its audit log and where containers' logs are."""

    def __init__(
        self, store: Store, registry: Registry, access: Access, audit: IO[str], container_logs: logs.Logs
    ) -> None:
        self.store = store
        self.registry = registry
        self.resources = Resources(store)
        self._discovery = Discovery(registry)
        self.ending = asyncio.Event()
        self._access = access
        self._audit = audit
        self._logs = container_logs

    def app(self) -> ASGIApp:
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=METHODS)], lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        self.ending.set()

    async def answer(self, request: Request) -> Response:
        """Every request, in the order of the real server: who, what, may they, do it, write it down."""
        began = time.monotonic()
        user = self._access.user(request.headers.get("authorization", ""))
        wanted: Wanted | None = None
        try:
            if user is None:
                raise status.unauthorized()
            if (open_answer := self._open(request)) is not None:
                return open_answer
            wanted = await understand(request, self.registry)
            self._demand(user, wanted)
            response = await self._do(user, wanted)
        except status.ApiError as error:
            response = Response(orjson.dumps(error.body), error.code, media_type=JSON)
            if error.code == 429 and "retryAfterSeconds" in error.body.get("details", {}):
                response.headers["Retry-After"] = str(error.body["details"]["retryAfterSeconds"])
        self._note(request, user, wanted, response.status_code, began)
        return response

    def _open(self, request: Request) -> Response | None:
        path = request.url.path
        if path.rstrip("/") in HEALTH:
            return PlainTextResponse("ok")
        found = self._discovery.answer(path) if request.method == "GET" else None
        return Response(orjson.dumps(found), media_type=JSON) if found is not None else None

    def _demand(self, user: User, wanted: Wanted) -> None:
        act = Act(
            verb=wanted.verb,
            group=wanted.kind.group,
            resource=wanted.kind.plural,
            subresource=wanted.subresource,
            namespace=wanted.namespace,
            name=wanted.name,
        )
        if wanted.kind.group != "authorization.k8s.io":
            self._access.demand(user, wanted.kind, act)

    async def _do(self, user: User, wanted: Wanted) -> Response:
        kind, verb = wanted.kind, wanted.verb
        if verb not in kind.verbs and not wanted.subresource:
            raise status.method_not_allowed()
        if verb == "watch":
            version = start(self.resources, wanted)
            return StreamingResponse(watch(self.resources, wanted, version, self.ending), media_type=JSON)
        if (kind.group, kind.plural, wanted.subresource) == LOGS:
            self.store.get(kind, wanted.key)
            return await self._logs.answer(wanted, self.store.get(kind, wanted.key).load(), self.ending)
        if kind.group == "authorization.k8s.io":
            return _json(self._review(user, wanted), 201)
        if verb == "create":
            return _json(self.resources.create(wanted), 201)
        if verb == "patch":
            return _json(*self.resources.patch(wanted))
        does = {
            "get": self.resources.get,
            "list": self.resources.many,
            "update": self.resources.update,
            "delete": self.resources.delete,
            "deletecollection": self.resources.delete_collection,
        }
        return _json(does[verb](wanted))

    def _review(self, user: User, wanted: Wanted) -> bytes:
        item = decoded(wanted.body, wanted.content_type)
        rules = wanted.kind.kind == "SelfSubjectRulesReview"
        answer = self._access.rules_review(user, item) if rules else self._access.review(user, item)
        head = {"kind": wanted.kind.kind, "apiVersion": wanted.kind.api_version, "metadata": {}}
        return orjson.dumps({**answer, **head})

    def _note(self, request: Request, user: User | None, wanted: Wanted | None, code: int, began: float) -> None:
        """One line a request, as the audit log of the real server has them."""
        line = {
            "at": timestamp(),
            "user": user.name if user else "system:anonymous",
            "verb": wanted.verb if wanted else request.method.lower(),
            "resource": wanted.kind.resource if wanted else "",
            "subresource": wanted.subresource if wanted else "",
            "namespace": wanted.namespace if wanted else "",
            "name": wanted.name if wanted else "",
            "dryRun": bool(wanted and wanted.query.get("dryRun")),
            "uri": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
            "code": code,
            "ms": round((time.monotonic() - began) * 1000, 1),
        }
        self._audit.write(json.dumps(line) + "\n")
        self._audit.flush()


def _json(body: bytes, code: int = 200) -> Response:
    return Response(body, code, media_type=JSON)
