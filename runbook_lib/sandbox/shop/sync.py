"""A background service that hands new orders on to somebody else, every second, through a pool of its own.

Its release 2 exports in batches, each over a session that it opens and then forgets about.
"""

import sys
import threading
import time
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool

from runbook_lib.sandbox.settings import Settings
from runbook_lib.sandbox.shop.log import json_log
from runbook_lib.sandbox.shop.web import Fields, server

POSITION = "SELECT position FROM checkpoints WHERE application = %s"
NEW = "SELECT id, amount FROM {table} WHERE id > %s ORDER BY id LIMIT 200"
MOVE = "UPDATE checkpoints SET position = %s WHERE application = %s"
BATCH_SECONDS = 3


class Sync:
    def __init__(self, settings: Settings, release: int) -> None:
        self.name = settings.names.sync
        self.conninfo = settings.conninfo("sync", self.name)
        self.new = sql.SQL(NEW).format(table=sql.Identifier(settings.names.table))
        self.log = json_log(settings.state, "sync")
        self.release = release
        self.exports: list[psycopg.Connection] = []
        self.pool = ConnectionPool(
            self.conninfo,
            kwargs={"autocommit": True},
            min_size=2,
            max_size=4,
            timeout=2,
            reconnect_timeout=1,
            check=ConnectionPool.check_connection,
            open=True,
        )

    def run(self) -> None:
        """Every second, whatever the database says."""
        while True:
            try:
                self._hand_on()
            except psycopg.Error as error:
                self._failed(error)
            time.sleep(1)

    def run_batches(self) -> None:
        """First whatever has piled up, then a batch now and then."""
        while self._export_batch():
            pass
        while True:
            time.sleep(BATCH_SECONDS)
            self._export_batch()

    def health(self, _: dict[str, str]) -> tuple[int, Fields]:
        return 200, {"status": "ok", "release": self.release}

    def _hand_on(self) -> None:
        with self.pool.connection() as connection:
            row = connection.execute(POSITION, (self.name,)).fetchone()
            rows = connection.execute(self.new, (row[0] if row else 0,)).fetchall()
            if rows:
                connection.execute(MOVE, (rows[-1][0], self.name))

    def _export_batch(self) -> bool:
        try:
            connection = psycopg.connect(self.conninfo, autocommit=True)
            connection.execute(self.new, (0,))
        except psycopg.Error as error:
            self._failed(error)
            return False
        self.exports.append(connection)
        return True

    def _failed(self, error: Exception) -> None:
        self.log.error("database", extra={"fields": {"error": " ".join(str(error).split())}})


def main(state: Path, release: int) -> None:
    settings = Settings.read(state)
    sync = Sync(settings, release)
    threading.Thread(target=sync.run, daemon=True).start()
    if release == 2:
        threading.Thread(target=sync.run_batches, daemon=True).start()
    routes = {"GET /health": sync.health, "GET /ready": sync.health}
    server(settings.ports["sync"], routes).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
