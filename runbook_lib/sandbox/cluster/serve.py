"""The process that serves a cluster: `python -m runbook_lib.sandbox.cluster.serve STATE [SNAPSHOT]`.

Its parent waits for one line on stdout, `{"port": ...}` or `{"error": ...}`. Until it reads `detach` on stdin, the end
of stdin (its parent's death) ends it.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import uvicorn

from runbook_lib.errors import RunbookError
from runbook_lib.sandbox.cluster import snapshot
from runbook_lib.sandbox.cluster.access import MASTERS, Access, User
from runbook_lib.sandbox.cluster.kinds import Registry
from runbook_lib.sandbox.cluster.logs import Logs
from runbook_lib.sandbox.cluster.server import Cluster
from runbook_lib.sandbox.cluster.store import Store
from runbook_lib.sandbox.settings import HOST

GRACE_SECONDS = 2


def users(folder: Path) -> dict[str, User]:
    """Token to user, of the files `tokens/NAME`: `admin` may do everything, others what their bindings say."""
    known = {}
    for path in sorted((folder / "tokens").iterdir()):
        groups = ("system:authenticated", *((MASTERS,) if path.name == "admin" else ()))
        known[path.read_text()] = User(path.name, groups)
    return known


async def serve(folder: Path, source: Path | None) -> None:
    """Until SIGTERM. Raises UsageError where the snapshot cannot be read."""
    store, registry = Store(), Registry()
    told: dict[str, object] = {}
    if source is not None:
        told["objects"] = snapshot.fill(source, store, registry)
        told["namespace"] = snapshot.busiest(store)
    logs = Logs(source / "logs" if source is not None else folder / "containers")
    with (folder / "audit.jsonl").open("a", encoding="utf-8") as audit:
        cluster = Cluster(
            store, registry, Access(store, users(folder), snapshot.GRANTS if source is not None else {}), audit, logs
        )
        listener = socket.create_server((HOST, 0), backlog=1024)
        config = uvicorn.Config(
            cluster.app(),
            ssl_certfile=folder / "server.crt",
            ssl_keyfile=folder / "server.key",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=60,
        )
        server = Server(config, cluster, told)
        await server.serve(sockets=[listener])


class Server(uvicorn.Server):
    """Says its port once it answers, and ends its watches when it is to end."""

    def __init__(self, config: uvicorn.Config, cluster: Cluster, told: dict[str, object]) -> None:
        super().__init__(config)
        self._cluster = cluster
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if sockets:
            print(json.dumps({"port": sockets[0].getsockname()[1], **self._told}), flush=True)  # noqa: T201 - for the parent

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._cluster.ending.set()
        await super().shutdown(sockets)


def main(arguments: list[str]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        asyncio.run(serve(Path(arguments[0]), Path(arguments[1]) if len(arguments) > 1 else None))
    except RunbookError as error:
        print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - for the parent
        raise SystemExit(error.exit_status) from error


def _end_with_parent() -> None:
    if os.read(0, 64) != b"detach\n":
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
