"""How fast and how big the sandbox's API is: 5,000 two-container pods, read whole in chunks of 500.

The bare client is what any client can be measured against; the official one reads the same in the same run.
"""

import json
import resource
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from rich.console import Console
from rich.table import Table

from runbook_lib import sandbox

PODS = 5000
CHUNK = 500
ROUNDS = 5


def snapshot(folder: Path) -> None:
    """Pods as a kubelet leaves them: about 6 KB each."""
    items = [_pod(n) for n in range(PODS)]
    (folder / "pods.json").write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))


def _pod(number: int) -> dict[str, Any]:
    names = ("web", "sidecar")
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10}
    env = [{"name": f"SETTING_{n}", "value": f"value {n} of pod {number}"} for n in range(12)]
    limits = {"limits": {"cpu": "500m", "memory": "256Mi"}}
    containers = [
        {
            "name": n,
            "image": f"registry.example/{n}:1.{number % 7}",
            "env": env,
            "resources": limits,
            "livenessProbe": probe,
        }
        for n in names
    ]
    running = {"running": {"startedAt": "2026-11-20T03:00:00Z"}}
    statuses = [
        {
            "name": n,
            "image": f"registry.example/{n}:1",
            "imageID": f"sha256:{number:064x}",
            "ready": True,
            "state": running,
        }
        | {"restartCount": number % 3, "containerID": f"containerd://{number:064x}", "started": True}
        for n in names
    ]
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [{"type": k, "status": "True", "lastTransitionTime": "2026-11-20T03:00:00Z"} for k in kinds]
    metadata = {"name": f"web-{number:05}", "namespace": f"team-{number % 20}", "labels": {"app": "web"}}
    status = {"phase": "Running", "podIP": f"10.1.{number // 250}.{number % 250}", "conditions": conditions}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"nodeName": f"node-{number % 40}", "containers": containers},
        "status": {**status, "containerStatuses": statuses},
    }


def bare(kubeconfig: Path) -> int:
    """Reads all pages as bytes, over one connection."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster = config["clusters"][0]["cluster"]
    headers = {"authorization": f"Bearer {config['users'][0]['user']['token']}"}
    trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
    size, token = 0, ""
    with httpx.Client(base_url=cluster["server"], verify=trust, headers=headers, timeout=60) as client:
        while True:
            page = client.get("/api/v1/pods", params={"limit": CHUNK, "continue": token}).content
            size += len(page)
            head = page[: page.index(b'"items"')]
            token = head.split(b'"continue":"')[1].split(b'"')[0].decode() if b'"continue":"' in head else ""
            if not token:
                return size


def official(kubeconfig: Path) -> int:
    """The same pages by the Python client, as its own objects."""
    from kubernetes import client, config

    api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
    found, token = 0, ""
    while True:
        page = api.list_pod_for_all_namespaces(limit=CHUNK, _continue=token or None)
        found += len(page.items)
        token = page.metadata._continue or ""
        if not token:
            return found


def timed(work: Callable[[], int]) -> tuple[float, int]:
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "snapshot"
        source.mkdir()
        snapshot(source)
        up, loaded = timed_load(Path(place) / "state", source)
        try:
            rounds = [timed(lambda: bare(loaded.kubeconfig)) for _ in range(ROUNDS)]
            seconds, size = min(rounds)
            slow, count = timed(lambda: official(loaded.kubeconfig))
            server = psutil.Process(sandbox.status(loaded.state).services[0].pid)
            memory = server.memory_full_info().pss / 2**20
        finally:
            sandbox.down(loaded.state)
    assert count == PODS
    table = Table(
        "what", "figure", "goal", title=f"{PODS:,} pods of two containers, {size / 2**20:.0f} MiB, chunks of {CHUNK}"
    )
    table.add_row("loaded and served after", f"{up:.1f} s", "")
    table.add_row("read whole by a bare HTTP client, best of 5", f"{seconds:.2f} s", "0.7 s")
    table.add_row("by the official Python client", f"{slow:.1f} s, {slow / seconds:.0f} times as long", "")
    table.add_row("the server's memory (PSS)", f"{memory:.0f} MiB", "")
    table.add_row(
        "this process at its largest (RSS)", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB", ""
    )
    Console().print(table)


def timed_load(state: Path, source: Path) -> tuple[float, sandbox.Loaded]:
    begun = time.perf_counter()
    loaded = sandbox.load(state, source)
    return time.perf_counter() - begun, loaded


if __name__ == "__main__":
    main()
