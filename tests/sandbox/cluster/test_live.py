"""A cluster whose pods are processes: rollouts, crashes, probes, limits and services, as they happen for real."""

import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client

Object = dict[str, Any]
Until = Callable[[Callable[[], Any]], Any]
pytestmark = pytest.mark.timeout(300)


class Shop:
    """One deployment in one namespace."""

    def __init__(self, live: Any, namespace: str, until: Until) -> None:
        self.apps, self.core = client.AppsV1Api(live), client.CoreV1Api(live)
        self.namespace, self.until = namespace, until

    def deploy(self, replicas: int = 2, **container: Any) -> None:
        labels = {"app": "web"}
        web = {"name": "web", "image": "test/web:1", "ports": [{"containerPort": 8080, "name": "http"}], **container}
        pod = {"containers": [web], "terminationGracePeriodSeconds": 5}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.apps.create_namespaced_deployment(self.namespace, {"metadata": {"name": "web"}, "spec": spec})

    def patch(self, **container: Any) -> None:
        body = {"spec": {"template": {"spec": {"containers": [{"name": "web", **container}]}}}}
        self.apps.patch_namespaced_deployment("web", self.namespace, body)

    def status(self) -> Any:
        return self.apps.read_namespaced_deployment("web", self.namespace).status

    def pods(self) -> list[Any]:
        found = self.core.list_namespaced_pod(self.namespace, label_selector="app=web").items
        return [p for p in found if p.metadata.deletion_timestamp is None]

    def answers(self) -> set[str]:
        """What the pods say; nothing where one has no address yet, or does not listen."""
        return {get(p.status.pod_ip) for p in self.pods()}

    def container(self) -> Any:
        """The status of the only pod's container, once it has one."""
        return self.until(
            lambda: (p := self.pods()) and p[0].status.container_statuses and p[0].status.container_statuses[0]
        )

    def events(self) -> dict[str, str]:
        return {e.reason: e.message for e in self.core.list_namespaced_event(self.namespace).items}

    def rolled_out(self, replicas: int) -> bool:
        status = self.status()
        if status is None:
            return False
        counts = (status.updated_replicas, status.available_replicas, status.replicas)
        return counts == (replicas, replicas, replicas)


@pytest.fixture
def shop(live: Any, namespace: str, until: Until) -> Shop:
    return Shop(live, namespace, until)


def get(address: str | None) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def test_a_deployment_serves_and_rolls(shop: Shop, until: Until) -> None:
    """Pods answer at their addresses; a new template rolls; undo is the old one; each step is an event."""
    shop.deploy(2, env=[{"name": "ANSWER", "value": "one"}])
    until(lambda: shop.rolled_out(2))
    until(lambda: shop.answers() == {"one"})
    shop.patch(env=[{"name": "ANSWER", "value": "two"}])
    until(lambda: shop.answers() == {"two"} and shop.rolled_out(2))
    sets = shop.apps.list_namespaced_replica_set(shop.namespace).items
    revisions = {s.metadata.annotations["deployment.kubernetes.io/revision"]: s.spec.replicas for s in sets}
    assert revisions == {"1": 0, "2": 2}
    assert {
        "ScalingReplicaSet",
        "SuccessfulCreate",
        "Scheduled",
        "Pulled",
        "Created",
        "Started",
    } <= shop.events().keys()
    conditions = {c.type: (c.status, c.reason) for c in shop.status().conditions}
    assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")
    (first,) = [s for s in sets if not s.spec.replicas]
    shop.patch(env=[{"name": "ANSWER", "value": "one"}])
    until(lambda: shop.answers() == {"one"} and shop.rolled_out(2))
    again = shop.apps.read_namespaced_replica_set(first.metadata.name, shop.namespace)
    assert again.metadata.annotations["deployment.kubernetes.io/revision"] == "3"


def test_scale_and_logs(shop: Shop, until: Until) -> None:
    """More and fewer processes; what they said is their log, and the last words of one that was ended are kept."""
    shop.deploy(1)
    until(lambda: shop.rolled_out(1))
    shop.apps.patch_namespaced_deployment_scale("web", shop.namespace, {"spec": {"replicas": 3}})
    until(lambda: shop.rolled_out(3))
    assert len({p.status.pod_ip for p in shop.pods()}) == 3
    name = shop.pods()[0].metadata.name
    assert shop.core.read_namespaced_pod_log(name, shop.namespace) == "web begins with hello\n"
    shop.apps.patch_namespaced_deployment_scale("web", shop.namespace, {"spec": {"replicas": 0}})
    until(lambda: not shop.core.list_namespaced_pod(shop.namespace).items)


def test_a_crash_loop_backs_off(shop: Shop, until: Until) -> None:
    """With the real exit code, the restarts, the waiting reason, and the event that people search for."""
    shop.deploy(1, env=[{"name": "FAIL", "value": "3"}])
    until(lambda: (s := shop.container()).state.waiting and s.state.waiting.reason == "CrashLoopBackOff")
    status = shop.container()
    assert (status.last_state.terminated.exit_code, status.last_state.terminated.reason) == (3, "Error")
    assert status.restart_count >= 1
    assert "back-off 10s restarting failed container=web pod=web-" in status.state.waiting.message
    assert shop.events()["BackOff"].startswith("Back-off restarting failed container web in pod web-")


def test_a_container_that_needs_too_much_memory_is_killed(shop: Shop, until: Until) -> None:
    """137, OOMKilled."""
    shop.deploy(1, env=[{"name": "EAT", "value": "200"}], resources={"limits": {"memory": "64Mi"}})
    until(lambda: shop.container().last_state.terminated)
    ended = shop.container().last_state.terminated
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


def test_an_image_that_nobody_has(shop: Shop, until: Until) -> None:
    """ErrImagePull, then ImagePullBackOff; the pod stays pending."""
    shop.deploy(1, image="test/nothing:9")
    until(lambda: (s := shop.container()).state.waiting and s.state.waiting.reason == "ImagePullBackOff")
    assert shop.pods()[0].status.phase == "Pending"
    assert 'Failed to pull image "test/nothing:9"' in " ".join(
        e.message for e in shop.core.list_namespaced_event(shop.namespace).items
    )


def test_a_config_that_is_not_there(shop: Shop, until: Until) -> None:
    """CreateContainerConfigError until somebody makes it; then the process has its values."""
    reference = {"configMapKeyRef": {"name": "settings", "key": "answer"}}
    shop.deploy(1, env=[{"name": "ANSWER", "valueFrom": reference}])
    until(lambda: (s := shop.container()).state.waiting and s.state.waiting.reason == "CreateContainerConfigError")
    assert shop.container().state.waiting.message == 'configmap "settings" not found'
    shop.core.create_namespaced_config_map(
        shop.namespace, {"metadata": {"name": "settings"}, "data": {"answer": "late"}}
    )
    until(lambda: shop.rolled_out(1))
    assert get(shop.pods()[0].status.pod_ip) == "late"


def test_readiness_decides_who_is_behind_a_service(shop: Shop, until: Until) -> None:
    """A pod that answers 503 is not ready, not behind the service, and a rollout to such pods does not go on."""
    ready = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "failureThreshold": 1}
    port = {"port": 80, "targetPort": "http"}
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [port]}}
    shop.core.create_namespaced_service(shop.namespace, service)
    shop.deploy(2, readinessProbe=ready)
    until(lambda: shop.rolled_out(2))

    def behind() -> set[str]:
        subsets = shop.core.read_namespaced_endpoints("web", shop.namespace).subsets or []
        return {a.ip for s in subsets for a in s.addresses or []}

    until(lambda: behind() == {p.status.pod_ip for p in shop.pods()})
    served = behind()
    shop.patch(env=[{"name": "STATUS", "value": "503"}])
    until(lambda: "Unhealthy" in shop.events())
    assert shop.events()["Unhealthy"] == "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert behind() == served
    assert shop.status().available_replicas == 2
    conditions = {c.type: c.status for c in shop.status().conditions}
    assert conditions["Available"] == "True"


def test_liveness_restarts(shop: Shop, until: Until) -> None:
    """A container that fails its liveness probe is ended and started again."""
    alive = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}
    shop.deploy(1, livenessProbe=alive, env=[{"name": "STATUS", "value": "500"}])
    until(lambda: shop.container().restart_count >= 1)
    assert shop.events()["Killing"] == "Container web failed liveness probe, will be restarted"


def test_a_pod_that_fits_nowhere(shop: Shop, until: Until) -> None:
    """The scheduler says why, in its own words."""
    shop.deploy(1, resources={"requests": {"cpu": "500"}})
    until(lambda: "FailedScheduling" in shop.events())
    assert shop.events()["FailedScheduling"] == "0/1 nodes are available: 1 Insufficient cpu."
    (pod,) = shop.pods()
    (condition,) = [c for c in pod.status.conditions if c.type == "PodScheduled"]
    assert (condition.status, condition.reason) == ("False", "Unschedulable")


def test_what_was_made_goes_with_its_maker(shop: Shop, until: Until) -> None:
    """Deleted in the background or the foreground: its ReplicaSets, its pods and their processes are gone."""
    shop.deploy(2)
    until(lambda: shop.rolled_out(2))
    addresses = [p.status.pod_ip for p in shop.pods()]
    until(lambda: {get(address) for address in addresses} == {"hello"})
    shop.apps.delete_namespaced_deployment("web", shop.namespace, propagation_policy="Foreground")
    until(lambda: not shop.apps.list_namespaced_deployment(shop.namespace).items)
    until(lambda: not shop.core.list_namespaced_pod(shop.namespace).items)
    assert not shop.apps.list_namespaced_replica_set(shop.namespace).items
    assert {get(address) for address in addresses} == {""}
