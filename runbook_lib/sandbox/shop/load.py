"""The customers: a steady rate of requests, whatever becomes of them, and what they saw, a line a second.

The rate does not wait for answers (an open loop): a shop that stalls does not make its customers fewer. What would
exceed `THREADS` requests at a time is counted as dropped.
"""

import http.client
import json
import logging
import random
import socket
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runbook_lib.sandbox.settings import CUSTOMERS, HOST, ORDERS, PASSWORD, Settings
from runbook_lib.sandbox.shop.log import json_log
from runbook_lib.sandbox.shop.web import REQUESTS, SECONDS, Fields, healthy, server

RATE = 20
THREADS = 48
HOT_PRODUCTS = 10
TIMEOUT = 5.0
Call = tuple[str, str, dict[str, object] | None]


class Load:
    """Answers are gathered for a second and then written."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.port = settings.ports["api"]
        self.random = random.Random(seed)  # noqa: S311 - reproducible on purpose, no secret
        self.local = threading.local()
        self.lock = threading.Lock()
        self.threads = ThreadPoolExecutor(THREADS)
        self.outstanding = 0
        self.dropped = 0
        self.answers: list[tuple[int, float]] = []
        self.log = logging.getLogger("load")

    def run(self) -> None:
        self._wait_for_opening()
        due = time.monotonic()
        for number in range(sys.maxsize):
            self._launch(self._choose())
            if number % RATE == RATE - 1:
                self._write()
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))

    def _wait_for_opening(self) -> None:
        """Customers come once somebody listens; that nobody ever does is the supervisor's business."""
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.05)

    def _choose(self) -> Call:
        chance, customer = self.random.random(), self.random.randint(1, CUSTOMERS)
        if chance < 0.3:
            return "GET", f"/orders?customer={customer}", None
        if chance < 0.75:
            return "GET", f"/order?id={self.random.randint(1, ORDERS)}", None
        if chance < 0.9:
            return "POST", "/orders", {"customer": customer, "product": self.random.randint(1, HOT_PRODUCTS)}
        return "POST", "/login", {"email": f"customer{customer}@example.org", "password": PASSWORD}

    def _launch(self, call: Call) -> None:
        with self.lock:
            if self.outstanding >= THREADS:
                self.dropped += 1
                return
            self.outstanding += 1
        self.threads.submit(self._send, *call)

    def _send(self, method: str, path: str, body: dict[str, object] | None) -> None:
        started = time.perf_counter()
        try:
            status = self._request(method, path, body)
        except (OSError, http.client.HTTPException):
            status = 0
            self.local.connection = None
        seconds = time.perf_counter() - started
        route = path.partition("?")[0]
        REQUESTS.labels(method, route, status).inc()
        SECONDS.labels(method, route).observe(seconds)
        with self.lock:
            self.outstanding -= 1
            self.answers.append((status, seconds * 1000))

    def _request(self, method: str, path: str, body: dict[str, object] | None) -> int:
        connection: http.client.HTTPConnection | None = getattr(self.local, "connection", None)
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection(HOST, self.port, timeout=TIMEOUT)
        connection.request(method, path, json.dumps(body) if body else None)
        response = connection.getresponse()
        response.read()
        return response.status

    def _write(self) -> None:
        with self.lock:
            answers, self.answers = self.answers, []
            dropped, self.dropped = self.dropped, 0
        self.log.info("second", extra={"fields": summary(answers) | {"dropped": dropped}})


def summary(answers: list[tuple[int, float]]) -> Fields:
    """How many answers, how many of them no good, and how long they took (milliseconds)."""
    times = sorted(ms for _, ms in answers)
    statuses: dict[str, int] = {}
    for status, _ in answers:
        statuses[str(status)] = statuses.get(str(status), 0) + 1
    return {
        "requests": len(answers),
        "errors": sum(not 200 <= status < 500 for status, _ in answers),
        "statuses": statuses,
        "p50_ms": round(statistics.median(times), 1) if times else None,
        "p95_ms": round(times[int(len(times) * 0.95)], 1) if times else None,
    }


def main(state: Path, seed: int) -> None:
    settings = Settings.read(state)
    json_log(state, "load")
    load = Load(settings, seed)
    threading.Thread(target=load.run, daemon=True).start()
    server(settings.ports["load"], {"GET /health": healthy}).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
