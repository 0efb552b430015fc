"""The process that holds a sandbox together: parent of all others, started by `up`, spoken to over loopback.

Until it reads `detach` on stdin, the end of stdin (its caller's death, whatever the cause) ends it, and with it
everything. A request is one JSON line `{"token", "do", ...}`; the answer is lines `{"progress": ...}` and then one
`{"result": ...}` or `{"error": ...}`.
"""

import hmac
import json
import os
import random
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from runbook_lib.errors import RunbookError, SandboxError
from runbook_lib.sandbox import folder
from runbook_lib.sandbox.box import Box
from runbook_lib.sandbox.faults import load
from runbook_lib.sandbox.settings import HOST
from runbook_lib.sandbox.values import Fault

LONGEST_REQUEST = 65_536

TICK = 0.5
Say = Callable[[dict[str, Any]], None]


class Supervisor:
    """Serves one request at a time; between two it looks after its children."""

    def __init__(self, state: Path, seed: int) -> None:
        self.state = state
        self.seed = seed
        self.since = now()
        self.token = secrets.token_hex()
        self.fault: Fault | None = None
        self.listener = socket.create_server((HOST, 0))
        self.listener.settimeout(TICK)
        self.services: dict[str, dict[str, int]] = {}
        self.box = Box(state, seed, lambda step: emit(sys.stdout.buffer, {"progress": step}))
        self.record("starting")

    def record(self, phase: str) -> None:
        """Writes down what `status` reads; it must be readable while we are busy."""
        ports, running = self.box.settings.ports, self.box.children.running
        # What has ended stays listed with its last pid, so that `status` can say that it does not run.
        self.services |= {name: {"pid": running[name].pid, "port": ports[name]} for name in ports if name in running}
        folder.write(
            self.state,
            {"kind": folder.KIND, "phase": phase, "seed": self.seed, "since": self.since, **folder.me()}
            | {"port": self.listener.getsockname()[1], "fault": self.fault and self.fault.as_dict()}
            | {"services": self.services},
        )

    def start(self) -> None:
        token = self.state / "token"
        token.touch(mode=0o600)
        token.write_text(self.token)
        self.box.start()
        self.record("up")

    def serve(self) -> None:
        """Until a signal says otherwise."""
        while True:
            self.box.children.reap()
            try:
                connection, _ = self.listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                with suppress(OSError):
                    self._answer(connection)

    def break_fault(self, name: str, seed: int | None) -> dict[str, Any]:
        if self.fault is not None and self.fault.fault != "none":
            raise SandboxError(f"{self.fault.fault} is on since {self.fault.since}; `runbook sandbox heal` first")
        module = load(name)
        chance = random.Random(self.seed if seed is None else seed)  # noqa: S311 - reproducible on purpose, no secret
        self.fault = Fault(fault=name, cause=module.CAUSE, subject={}, mitigation=module.MITIGATION, since=now())
        subject = module.inflict(self.box, chance)
        self.fault = Fault(**(self.fault.as_dict() | {"subject": subject}))  # type: ignore[arg-type] # its own fields
        self.record("up")
        return self.fault.as_dict()

    def heal(self) -> dict[str, Any]:
        if self.fault is not None:
            load(self.fault.fault).heal(self.box)
        self.box.restore()
        self.fault = None
        self.record("up")
        return {}

    def _answer(self, connection: socket.socket) -> None:
        stream = connection.makefile("rwb")
        request = self._understood(stream.readline(LONGEST_REQUEST))
        if request is None:
            return
        say: Say = lambda message: emit(stream, message)  # noqa: E731 - it is handed on as it is
        self.box.progress = lambda step: say({"progress": step})
        try:
            result = self.heal() if request["do"] == "heal" else self.break_fault(request["fault"], request["seed"])
        except (RunbookError, psycopg.Error, OSError) as error:
            self.record("up")
            say({"error": " ".join(str(error).split())})
        else:
            say({"result": result})

    def _understood(self, line: bytes) -> dict[str, Any] | None:
        """A request of ours; anything else that talks to the port is not answered."""
        try:
            request = json.loads(line)
            ours = hmac.compare_digest(str(request["token"]).encode(), self.token.encode())
            known = request["do"] == "heal" or (request["do"] == "break" and "seed" in request and request["fault"])
        except (ValueError, TypeError, KeyError):
            return None
        return request if ours and known else None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def emit(stream: Any, message: dict[str, Any]) -> None:
    """A line to whoever listens; that nobody does any more is no reason to stop."""
    with suppress(OSError):
        stream.write(json.dumps(message).encode() + b"\n")
        stream.flush()


def end_with_caller(lifeline: int) -> None:
    if os.read(lifeline, 64) != b"detach\n":
        os.kill(os.getpid(), signal.SIGTERM)


def end(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def main(state: Path, seed: int) -> None:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_caller, args=(sys.stdin.fileno(),), daemon=True).start()
    supervisor = Supervisor(state, seed)
    try:
        supervisor.start()
        emit(sys.stdout.buffer, {"result": {}})
        supervisor.serve()
    except (SandboxError, psycopg.Error, OSError) as error:
        emit(sys.stdout.buffer, {"error": " ".join(str(error).split())})
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        supervisor.box.stop()
        folder.remove(state)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
