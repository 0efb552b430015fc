"""kubectl, unmodified, on what any cluster answers without running a pod."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 0
  paused: true
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "registry.k8s.io/pause:3.9"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: info}
"""
COMMANDS = [
    ("get deployments", "web    0/0"),
    ("get deploy web -o wide", "registry.k8s.io/pause:3.9"),
    ("get deploy -A -l app=web", "web"),
    ("get cm settings -o jsonpath={.data.level}", "info"),
    ("get cm,deploy --field-selector=metadata.name=settings -o name", "configmap/settings"),
    ("get all", "deployment.apps/web"),
    ("get events --sort-by=.lastTimestamp", "No resources found"),
    ("describe deploy web", "Replicas:               0 desired"),
    ("describe cm settings", "level"),
    ("scale deploy web --replicas=0", "deployment.apps/web scaled"),
    ("set image deploy/web web=registry.k8s.io/pause:3.10", "image updated"),
    ("set env deploy/web LEVEL=debug", "env updated"),
    ("set resources deploy/web --limits=memory=64Mi", "resource requirements updated"),
    ("rollout history deploy/web", "deployment.apps/web"),
    ("rollout resume deploy/web", "resumed"),
    ("rollout pause deploy/web", "paused"),
    ("rollout restart deploy/web", "can't restart paused deployment"),
    ("label cm settings tier=back", "configmap/settings labeled"),
    ("annotate cm settings note=x", "configmap/settings annotated"),
    ('patch cm settings --type merge -p {"data":{"level":"warn"}}', "patched"),
    ('patch deploy web -p {"spec":{"minReadySeconds":3}}', "patched"),
    ("auth can-i delete pods", "yes"),
    ("auth can-i --list", "*.*"),
    ("explain deploy.spec.replicas", "replicas <integer>"),
    ("api-resources --api-group=apps", "deployments"),
    ("version", "Server Version: v1."),
    ("wait --for=jsonpath={.data.level}=warn cm/settings --timeout=5s", "condition met"),
    ("delete cm settings --dry-run=server", "deleted (server dry run)"),
    ("get cm settings", "settings"),
    ("get pod none", 'Error from server (NotFound): pods "none" not found'),
    ("get nonsense", "the server doesn't have a resource type"),
    ("delete cm settings", "deleted"),
    ("delete deploy web", "deleted"),
]


@pytest.fixture(scope="module")
def run(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """kubectl as admin, in a namespace of this module."""
    folder = tmp_path_factory.mktemp("kubectl")
    base = ["kubectl", "--kubeconfig", str(kubeconfig), "--cache-dir", str(folder / "cache")]

    def call(*words: str, given: str = "") -> str:
        command = [*base, "--namespace", "contract-kubectl", *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    admin = subprocess.run([*base, "config", "get-contexts", "-o", "name"], capture_output=True, text=True, check=True)
    if "admin" in admin.stdout.split():
        base += ["--context", "admin"]
    made = call("apply", "-f", "-", given="apiVersion: v1\nkind: Namespace\nmetadata: {name: contract-kubectl}\n")
    assert "created" in made, made
    yield call
    call("delete", "namespace", "contract-kubectl", "--wait=false")


def test_every_command(run) -> None:
    """In the order of the table: what it prints is what a person looks for."""
    assert "web created" in run("apply", "-f", "-", given=MANIFEST)
    assert "web unchanged" in run("apply", "-f", "-", given=MANIFEST)
    assert "configured" in run("apply", "-f", "-", given=MANIFEST.replace("info", "debug"))
    assert "+  level: info" in run("diff", "-f", "-", given=MANIFEST)
    assert "configured" in run("apply", "-f", "-", given=MANIFEST)
    assert 'unknown field "dat"' in run("apply", "-f", "-", given=MANIFEST.replace("\ndata:", "\ndat:"))
    assert "serverside-applied" in run("apply", "--server-side", "--force-conflicts", "-f", "-", given=MANIFEST)
    wrong = {words: said for words, wanted in COMMANDS if wanted not in (said := run(*words.split(" ")))}
    assert wrong == {}
