"""Tokens and the kubeconfig of a cluster of ours."""

import secrets
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.sandbox.settings import HOST

ADMIN, READER, ACTOR = "admin", "runbook-reader", "runbook-actor"


def hand_out(folder: Path, *users: str) -> None:
    """A token each, in `tokens/USER` (0600)."""
    (folder / "tokens").mkdir(mode=0o700)
    for user in users:
        path = folder / "tokens" / user
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))


def write(folder: Path, name: str, port: int, namespace: str) -> Path:
    """A kubeconfig with a context for each who has a token; the first is the one in use (0600)."""
    users = [path.name for path in sorted((folder / "tokens").iterdir(), key=lambda p: p.name != READER)]
    cluster = {"server": f"https://{HOST}:{port}", "certificate-authority": str(folder / "ca.crt")}
    contexts: list[dict[str, Any]] = [
        {"name": user, "context": {"cluster": name, "user": user, "namespace": namespace}} for user in users
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": u, "user": {"token": (folder / "tokens" / u).read_text()}} for u in users],
        "contexts": contexts,
        "current-context": users[0],
    }
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
