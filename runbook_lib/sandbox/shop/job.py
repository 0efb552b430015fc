"""A job of the shop (billing, imports, reports): sessions that begin a transaction, work in it, and take their time.

Reads one JSON object from its argument: `application`, `sessions`, `statements` (run by each session) and `last` (a
statement that runs long, or null: the job is then busy elsewhere and the sessions wait in their transactions). A job
that loses its sessions logs it and ends.
"""

import json
import select
import sys
from pathlib import Path
from typing import Any

import psycopg

from runbook_lib.sandbox.settings import Settings
from runbook_lib.sandbox.shop.log import json_log


def work(connection: psycopg.Connection, number: int, statements: list[str], last: str | None) -> None:
    """One transaction, left open."""
    for statement in statements:
        connection.execute(statement.encode(), {"number": number})
    if last:
        connection.execute(last.encode())


def wait_for_loss(connections: list[psycopg.Connection]) -> None:
    """Returns once the server has closed every session; a closed socket becomes readable."""
    left = {connection.fileno() for connection in connections}
    while left:
        readable, _, _ = select.select(left, [], [])
        left -= set(readable)


def main(state: Path, job: dict[str, Any]) -> None:
    settings = Settings.read(state)
    log = json_log(state, job["application"])
    conninfo = settings.conninfo("jobs", job["application"])
    try:
        connections = [psycopg.connect(conninfo) for _ in range(job["sessions"])]
        for number, connection in enumerate(connections):
            work(connection, number, job["statements"], job["last"])
        wait_for_loss(connections)
        log.error("lost the database sessions")
    except psycopg.Error as error:
        log.error("job failed", extra={"fields": {"error": " ".join(str(error).split())}})  # noqa: TRY400 - one line
    sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
