"""Takes jobs from the list and settles them in the database, with a session of its own for each."""

import json
import sys
import threading
import time
from pathlib import Path

import psycopg
import redis
from prometheus_client import Counter
from psycopg import sql

from runbook_lib.sandbox import valkey
from runbook_lib.sandbox.settings import Settings
from runbook_lib.sandbox.shop.log import json_log
from runbook_lib.sandbox.shop.web import Fields, server

SETTLE = "UPDATE {table} SET status = 'confirmed' WHERE id = %s"
EVENT = "INSERT INTO events (subject_id, kind) VALUES (%s, 'confirmed')"
JOBS = Counter("jobs_total", "Jobs by result", ["result"])


class Worker:
    """A job that failed goes back to the head of the list."""

    def __init__(self, settings: Settings) -> None:
        self.queue = settings.names.jobs
        self.conninfo = settings.conninfo("worker", "worker")
        self.settle = sql.SQL(SETTLE).format(table=sql.Identifier(settings.names.table))
        self.redis = valkey.client(settings)
        self.log = json_log(settings.state, "worker")
        self.trouble = ""

    def run(self) -> None:
        while True:
            try:
                taken = self.redis.blpop([self.queue], timeout=1)
                if taken:
                    self._work(str(taken[1]))
            except redis.RedisError as error:
                self._failed(error)

    def health(self, _: dict[str, str]) -> tuple[int, Fields]:
        return (503, {"error": self.trouble}) if self.trouble else (200, {"status": "ok"})

    def _work(self, raw: str) -> None:
        job = json.loads(raw)
        try:
            with psycopg.connect(self.conninfo) as connection:
                connection.execute(self.settle, (job["id"],))
                connection.execute(EVENT, (job["id"],))
        except psycopg.Error as error:
            self.redis.lpush(self.queue, raw)
            self._failed(error)
            return
        self.trouble = ""
        JOBS.labels("done").inc()
        self.log.info("job", extra={"fields": {"id": job["id"]}})

    def _failed(self, error: Exception) -> None:
        self.trouble = f"{type(error).__name__}: {' '.join(str(error).split())}"
        JOBS.labels("failed").inc()
        self.log.error("job failed", extra={"fields": {"error": self.trouble}})
        time.sleep(0.5)


def main(state: Path) -> None:
    settings = Settings.read(state)
    worker = Worker(settings)
    threading.Thread(target=worker.run, daemon=True).start()
    routes = {"GET /health": worker.health, "GET /ready": worker.health}
    server(settings.ports["worker"], routes).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
