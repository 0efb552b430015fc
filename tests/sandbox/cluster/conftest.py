"""A cluster that runs: API server, controllers and kubelet, each a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from kubernetes import client, config

from runbook_lib.sandbox.cluster import kubeconfig, pki

WEB = """
import http.server, os, signal, sys, time
if os.environ.get("FAIL"): sys.exit(int(os.environ["FAIL"]))
if os.environ.get("EAT"): kept = bytearray(int(os.environ["EAT"]) << 20); time.sleep(1000)
class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("ANSWER", "hello").encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("web begins with", os.environ.get("ANSWER", "hello"), flush=True)
signal.signal(signal.SIGTERM, lambda *_: (print("web ends", flush=True), os._exit(0)))
http.server.HTTPServer((os.environ["POD_IP"], 8080), Web).serve_forever()
"""
PATIENCE = 60
Until = Callable[[Callable[[], Any]], Any]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The Python client of a running cluster, as admin."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "containers").mkdir()
    (folder / "web.py").write_text(WEB)
    (folder / "images.yaml").write_text(yaml.safe_dump({"test/web": ["python", str(folder / "web.py")]}))
    (folder / "snapshot").mkdir()
    pki.create(folder)
    kubeconfig.hand_out(folder, "admin")
    base = [sys.executable, "-m"]
    started = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = [*base, f"runbook_lib.sandbox.cluster.{words[0]}", *words[1:]]
        with (folder / f"{words[0].partition('.')[0]}.log").open("w") as log:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
            started.append(subprocess.Popen(command, **pipes, text=True))
        return started[-1]

    server = start("serve", str(folder))
    assert server.stdout is not None
    port = json.loads(server.stdout.readline())["port"]
    place = str(kubeconfig.write(folder, "live", port, "default"))
    start("controllers.run", place, "admin")
    start("kubelet.run", place, "admin", "node-1", str(folder / "containers"), str(folder / "images.yaml"))
    api = config.new_client_from_config(place)
    yield api
    api.close()
    for process in reversed(started):
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def until() -> Until:
    """Waits, within reason, until something is so."""

    def wait(so: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := so():
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come about in time")

    return wait


@pytest.fixture
def namespace(live: Any, until: Until, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of one test, with its account."""
    core = client.CoreV1Api(live)
    name = f"t-{abs(hash(request.node.name)) % 10**8}"
    core.create_namespace({"metadata": {"name": name}})
    until(lambda: core.list_namespaced_service_account(name).items)
    yield name
    core.delete_namespace(name)
    until(lambda: name not in {n.metadata.name for n in core.list_namespace().items})
