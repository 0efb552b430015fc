"""A small HTTP server: JSON in, JSON out, metrics and an access log; a thread a connection."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit

from prometheus_client import Counter, Histogram, generate_latest

from runbook_lib.sandbox.settings import HOST

REQUESTS = Counter("http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("http_request_seconds", "Time to answer", ["method", "route"])

Fields = dict[str, object]
Route = Callable[[dict[str, str]], tuple[int, Fields]]
Routes = Mapping[str, Route]
QUIET = ("GET /health", "GET /ready")


class Handler(BaseHTTPRequestHandler):
    """Routes `METHOD /path`; parameters come from the query and a JSON body."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    routes: ClassVar[Routes] = {}
    unavailable: ClassVar[tuple[type[Exception], ...]] = ()

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        name = f"{self.command} {parts.path}"
        if name == "GET /metrics":
            self._send(200, "text/plain; version=0.0.4", generate_latest())
            return
        started = time.perf_counter()
        status, answer = self._answer(name, dict(parse_qsl(parts.query)))
        self._send(status, "application/json", json.dumps(answer, default=str).encode())
        self._account(name, status, time.perf_counter() - started, answer)

    do_GET = handle_any  # noqa: N815 - the base class names it
    do_POST = handle_any  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """The access log is ours."""

    def _answer(self, name: str, parameters: dict[str, str]) -> tuple[int, Fields]:
        route = self.routes.get(name)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if route is None:
            return 404, {"error": "no such route"}
        try:
            return route(parameters | (json.loads(body) if body else {}))
        except self.unavailable as error:
            return 503, {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        except (KeyError, ValueError) as error:
            return 400, {"error": repr(error)}

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _account(self, name: str, status: int, seconds: float, answer: Fields) -> None:
        method, route = name.split(" ", 1) if name in self.routes else (self.command, "other")
        REQUESTS.labels(method, route, status).inc()
        SECONDS.labels(method, route).observe(seconds)
        if name in QUIET and status < 400:
            return
        fields: Fields = {"route": name, "status": status, "ms": round(seconds * 1000, 1)}
        if "error" in answer:
            fields["error"] = answer["error"]
        level = logging.ERROR if status >= 500 else logging.INFO
        logging.getLogger("http").log(level, "request", extra={"fields": fields})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class calls it
        """A client that went away is the log's business, not a traceback's."""
        logging.getLogger("http").warning("connection lost", exc_info=False)


def healthy(_: dict[str, str]) -> tuple[int, Fields]:
    """The route of a service that is well as long as it answers."""
    return 200, {"status": "ok"}


def server(port: int, routes: Routes, unavailable: tuple[type[Exception], ...] = ()) -> Server:
    """A bound server; `serve_forever()` runs it. What is `unavailable` becomes a 503."""
    handler = type("ShopHandler", (Handler,), {"routes": routes, "unavailable": unavailable})
    return Server((HOST, port), handler)
