"""A cluster as it was: loaded from what kubectl printed, asked, and written down again."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from runbook_lib import sandbox
from runbook_lib.errors import SandboxError, UsageError
from runbook_lib.sandbox.cluster.saving import save

SECRET = "cGFzc3dvcmQ="
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "api-1", "namespace": "shop", "labels": {"app": "api"}},
    "spec": {
        "nodeName": "n1",
        "containers": [{"name": "web", "image": "shop/api:1"}, {"name": "side", "image": "a:2"}],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "web",
                "restartCount": 2,
                "ready": True,
                "state": {"running": {"startedAt": "2026-11-20T03:00:00Z"}},
            },
            {"name": "side", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        ],
    },
}
OTHERS = [
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "shop"},
        "data": {"password": SECRET},
    },
    {
        "apiVersion": "example.com/v1",
        "kind": "Policy",
        "metadata": {"name": "strict", "namespace": "shop"},
        "spec": {"a": 1},
    },
]
LINES = "".join(f"2026-11-20T03:00:{n:02}.000000000Z line {n}\n" for n in range(10))
Load = Callable[[Path], sandbox.Loaded]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    (folder / "logs" / "shop" / "api-1").mkdir(parents=True)
    (folder / "pods.json").write_text(json.dumps({"kind": "PodList", "apiVersion": "v1", "items": [POD]}))
    (folder / "others.yaml").write_text(yaml.safe_dump_all(OTHERS))
    (folder / "logs" / "shop" / "api-1" / "web.log").write_text(LINES)
    (folder / "logs" / "shop" / "api-1" / "web.previous.log").write_text("it was without timestamps\n")
    return folder


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    states: list[Path] = []

    def make(folder: Path) -> sandbox.Loaded:
        states.append(tmp_path / f"state-{len(states)}")
        return sandbox.load(states[-1], folder)

    yield make
    for state in states:
        sandbox.down(state)


@pytest.fixture
def api() -> Iterator[Any]:
    """Makes clients of a loaded snapshot; they are closed at the end."""
    made = []

    def make(loaded: sandbox.Loaded, context: str = "runbook-reader") -> Any:
        made.append(config.new_client_from_config(str(loaded.kubeconfig), context))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_the_python_client_reads_it(source: Path, load: Load, api: Any) -> None:
    """Incomplete objects are completed, namespaces are there, a kind that nobody declared is served."""
    loaded = load(source)
    assert loaded.objects == {"Pod": 1, "Secret": 1, "Policy": 1}
    core = client.CoreV1Api(api(loaded))
    (pod,) = core.list_namespaced_pod("shop", label_selector="app=api").items
    assert [(s.name, s.ready, s.restart_count, s.image) for s in pod.status.container_statuses] == [
        ("web", True, 2, "shop/api:1"),
        ("side", False, 0, "a:2"),
    ]
    assert {n.metadata.name for n in core.list_namespace().items} == {"default", "kube-system", "shop"}
    policies = client.CustomObjectsApi(api(loaded)).list_namespaced_custom_object(
        "example.com", "v1", "shop", "policies"
    )
    assert [(p["metadata"]["name"], p["spec"]) for p in policies["items"]] == [("strict", {"a": 1})]


def test_logs(source: Path, load: Load, api: Any) -> None:
    """Whole, the end, since a time, with and without timestamps, of the run before, or a clear refusal."""
    core = client.CoreV1Api(api(load(source)))

    def log(container: str = "web", **options: Any) -> str:
        return str(core.read_namespaced_pod_log("api-1", "shop", container=container, **options))

    assert log() == "".join(f"line {n}\n" for n in range(10))
    assert log(timestamps=True) == LINES
    assert log(tail_lines=2) == "line 8\nline 9\n"
    assert log(limit_bytes=6) == "line 0"
    assert log(since_seconds=1) == ""
    assert log(previous=True) == "it was without timestamps\n"
    for container, options, words in (
        ("side", {}, "is waiting to start: CrashLoopBackOff"),
        ("side", {"previous": True}, "not found"),
        ("other", {}, "is not valid for pod"),
    ):
        with pytest.raises(client.ApiException, match=words) as refused:
            log(container, **options)
        assert refused.value.status == 400


def test_the_reader_reads_and_the_audit_log_tells(source: Path, load: Load, api: Any) -> None:
    """It may not delete; each request is written down with who, what and how it ended."""
    loaded = load(source)
    core = client.CoreV1Api(api(loaded))
    core.list_namespaced_pod("shop")
    with pytest.raises(client.ApiException, match="cannot delete resource") as refused:
        core.delete_namespaced_pod("api-1", "shop")
    assert refused.value.status == 403
    client.CoreV1Api(api(loaded, "admin")).delete_namespaced_pod("api-1", "shop", grace_period_seconds=0)
    lines = [json.loads(line) for line in (loaded.state / "audit.jsonl").read_text().splitlines()]
    told = [(line["user"], line["verb"], line["resource"], line["code"]) for line in lines]
    assert told == [
        ("runbook-reader", "list", "pods", 200),
        ("runbook-reader", "delete", "pods", 403),
        ("admin", "delete", "pods", 200),
    ]


def test_what_is_saved_can_be_loaded(source: Path, load: Load, api: Any, tmp_path: Path) -> None:
    """The same objects and logs again; the values of Secrets are left out, and so is what may not be read."""
    loaded = load(source)
    saved = save(tmp_path / "saved", loaded.kubeconfig, "admin")
    assert saved.objects == {"Namespace": 3, "Pod": 1, "Secret": 1, "Policy": 1}
    assert saved.logs == 2
    assert SECRET not in "".join(p.read_text() for p in (tmp_path / "saved").rglob("*") if p.is_file())
    again = load(tmp_path / "saved")
    first, second = (client.CoreV1Api(api(one)).read_namespaced_pod("api-1", "shop") for one in (loaded, again))
    for pod in (first, second):
        pod.metadata.resource_version = None
    assert first == second
    assert client.CoreV1Api(api(again, "admin")).read_namespaced_secret("login", "shop").data == {"password": ""}
    assert (tmp_path / "saved" / "logs" / "shop" / "api-1" / "web.log").read_text() == LINES


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", '{"kind":', "a.json cannot be read"),
        ("a.yaml", "a: [", "a.yaml cannot be read"),
        ("a.json", "[1]", "holds no Kubernetes object"),
        ("a.yaml", "kind: Pod\n", "a Pod without a name"),
        ("a.txt", "kind: Pod\n", "holds no *.json"),
        ("a.yaml", "kind: List\nitems: [1]\n", "something that is no object"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    """One line, status 2, and nothing is left behind."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / name).write_text(text)
    command = [sys.executable, "-m", "runbook_lib", "sandbox", "load", str(folder), "--state", str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert words in done.stderr
    assert not (tmp_path / "state").exists()


def test_an_object_that_stands_there_twice_is_named(source: Path, tmp_path: Path) -> None:
    """The second one would hide the first."""
    (source / "again.json").write_text(json.dumps(POD))
    with pytest.raises(UsageError, match='pods "api-1" already exists'):
        sandbox.load(tmp_path / "state", source)


def test_nothing_in_a_snapshot_can_be_broken(source: Path, load: Load) -> None:
    """No process stands behind it, and status says so."""
    loaded = load(source)
    with pytest.raises(SandboxError, match="serves a snapshot"):
        sandbox.break_fault(loaded.state, "lock_held")
    (server,) = sandbox.status(loaded.state).services
    assert (server.name, server.running) == ("apiserver", True)
    assert "no process stands behind" in str(server.simulated)
    with pytest.raises(SandboxError, match="a sandbox is up"):
        sandbox.load(loaded.state, source)
