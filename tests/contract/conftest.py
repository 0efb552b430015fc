"""A cluster to hold against the contract: ours, or the one that RUNBOOK_TEST_KUBECONFIG names."""

import json
import os
import ssl
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from runbook_lib import sandbox

Object = dict[str, Any]


class Api:
    """A bare HTTP client of a cluster, so that no library hides what the server said."""

    def __init__(self, kubeconfig: Path, user: str = "") -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        contexts = {c["name"]: c["context"] for c in config["contexts"]}
        context = contexts.get(user) or contexts[config["current-context"]]
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        login = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        if "client-certificate" in login:
            trust.load_cert_chain(login["client-certificate"], login["client-key"])
        headers = {"authorization": f"Bearer {login['token']}"} if "token" in login else {}
        self.client = httpx.Client(base_url=cluster["server"], verify=trust, headers=headers, timeout=30)

    def call(self, method: str, path: str, body: Object | None = None, code: int = 200, **options: Any) -> Object:
        """The answer, which has to have this status."""
        headers = {"content-type": options.pop("type", "application/json"), **options.pop("headers", {})}
        content = json.dumps(body) if body is not None else None
        answer = self.client.request(method, path, content=content, headers=headers, params=options)
        assert answer.status_code == code, answer.text
        value: Object = answer.json()
        return value


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    named = os.environ.get("RUNBOOK_TEST_KUBECONFIG")
    if named:
        yield Path(named)
        return
    folder = tmp_path_factory.mktemp("contract")
    empty = folder / "snapshot"
    empty.mkdir()
    (empty / "default.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: default}}\n")
    loaded = sandbox.load(folder / "state", empty)
    yield loaded.kubeconfig
    sandbox.down(loaded.state)


@pytest.fixture(scope="session")
def api(kubeconfig: Path) -> Iterator[Api]:
    """As somebody who may do everything."""
    api = Api(kubeconfig, "admin")
    yield api
    api.client.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace of one test."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}}, 201)
    yield name
    api.call("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
def configmap(api: Api, namespace: str) -> Callable[..., Object]:
    """Makes a ConfigMap."""

    def make(name: str, data: dict[str, str] | None = None, **labels: str) -> Object:
        body = {"metadata": {"name": name, "labels": labels}, "data": data or {}}
        return api.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", body, 201)

    return make


@pytest.fixture
def deployment(namespace: str) -> Object:
    """One that is valid, paused, and wants no pods."""
    labels = {"app": "contract"}
    pod = {"containers": [{"name": "web", "image": "registry.k8s.io/pause:3.9"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 0, "paused": True, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "contract", "namespace": namespace}, "spec": spec}
