"""A cluster as it was, served from a folder of what `kubectl get` printed: no process stands behind its pods."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox import folder
from runbook_lib.sandbox.cluster import kubeconfig, pki
from runbook_lib.sandbox.control import SOURCE, keep
from runbook_lib.sandbox.values import SNAPSHOT

DETACH = b"detach\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A snapshot that is served; `objects` counts them by kind."""

    state: Path
    kubeconfig: Path
    profile: Path
    port: int
    objects: dict[str, int]

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {name: str(getattr(self, name)) for name in ("state", "kubeconfig", "profile")}


def load(state: Path, source: Path) -> Loaded:
    """Serves the snapshot until `down`; returns once it answers.

    Raises:
        UsageError: a file of the snapshot cannot be used (which, why), or the state folder holds something else.
        SandboxError: a sandbox is up there already, or the server does not come up; then nothing is left behind.
    """
    state, source = state.absolute(), source.expanduser().absolute()
    folder.claim(state, 0)
    server = None
    try:
        pki.create(state)
        kubeconfig.hand_out(state, kubeconfig.READER, kubeconfig.ADMIN)
        server = _start(state, source)
        return _loaded(state, source, server)
    except BaseException:
        if server is not None:
            server.kill()
            server.communicate()
        folder.remove(state)
        raise


def _start(state: Path, source: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "runbook_lib.sandbox.cluster.serve", str(state), str(source)]
    with (state / "apiserver.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=SOURCE, start_new_session=True
        )


def _loaded(state: Path, source: Path, server: "subprocess.Popen[bytes]") -> Loaded:
    """Waits for the server's first word. Raises UsageError, SandboxError."""
    assert server.stdin is not None  # noqa: S101 - both were opened as pipes
    assert server.stdout is not None  # noqa: S101 - both were opened as pipes
    said: dict[str, Any] = json.loads(server.stdout.readline() or b"{}")
    if "error" in said:
        raise UsageError(said["error"])
    if "port" not in said:
        raise SandboxError(f"the API server did not come up: {_last_words(state / 'apiserver.log')}")
    since = psutil.Process(server.pid).create_time()
    record = {"kind": folder.KIND, "phase": "up", "seed": 0, "pid": server.pid, "created": since, "loaded": str(source)}
    folder.write(state, record | {"services": {"apiserver": {"pid": server.pid, "port": said["port"]}}})
    config = kubeconfig.write(state, SNAPSHOT, said["port"], said["namespace"])
    loaded = Loaded(state=state, kubeconfig=config, profile=_profile(state), port=said["port"], objects=said["objects"])
    server.stdin.write(DETACH)
    server.stdin.close()
    server.stdout.close()
    keep(state, server)
    return loaded


def _profile(state: Path) -> Path:
    sources = {"cluster": {"kind": "kubernetes", "kubeconfig": str(state / "kubeconfig"), "context": kubeconfig.READER}}
    path = state / "profile.yaml"
    head = "# Written by `runbook sandbox load`.\n"
    (state / "sources.yaml").write_text(head + yaml.safe_dump({"sources": sources}, sort_keys=False))
    path.write_text(
        head
        + yaml.safe_dump(
            {"extends": "sandbox", "title": "A cluster as it was", "sources_from": str(state / "sources.yaml")},
            sort_keys=False,
        )
    )
    return path


def _last_words(log: Path) -> str:
    return " ".join(log.read_text("utf-8", "replace").splitlines()[-1:])
