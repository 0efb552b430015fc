"""One pod: its containers are started, watched, restarted with back-off, and ended in time."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook_lib.sandbox.cluster.client import STRATEGIC, Api, Object, RefusedByServerError
from runbook_lib.sandbox.cluster.events import Recorder
from runbook_lib.sandbox.cluster.kinds import kind
from runbook_lib.sandbox.cluster.kubelet import containers
from runbook_lib.sandbox.cluster.kubelet.environment import Missing
from runbook_lib.sandbox.cluster.kubelet.images import Images
from runbook_lib.sandbox.cluster.kubelet.probes import Probe, ask
from runbook_lib.sandbox.cluster.quantities import amount
from runbook_lib.sandbox.cluster.store import timestamp

PODS = kind("pods")
TICK = 0.2
BACK_OFF = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
"""Seconds before a crashed container is started again, as the real kubelet doubles them."""
FORGIVEN = 600.0
"""A container that ran so long is started at once again."""
PULL_AGAIN = 10.0
PROBES = {"liveness": "livenessProbe", "readiness": "readinessProbe", "startup": "startupProbe"}
Environment = Callable[[Object, Object], Awaitable[dict[str, str]]]


@dataclass(slots=True)
class Container:
    """What is known of one container of a pod."""

    spec: Object
    restarts: int = 0
    crashes: int = 0
    waiting: tuple[str, str] = ("ContainerCreating", "")
    due: float = 0.0
    running: containers.Running | None = None
    end: "asyncio.Task[containers.Ended] | None" = None
    ended: containers.Ended | None = None
    before: containers.Ended | None = None
    probes: dict[str, Probe] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def where(self) -> str:
        return f"spec.containers{{{self.name}}}"

    @property
    def ready(self) -> bool:
        started = "startup" not in self.probes or self.probes["startup"].healthy
        return bool(self.running and started and ("readiness" not in self.probes or self.probes["readiness"].healthy))


class PodWorker:
    """Runs a pod from its arrival on the node to its end. `forced` is set where an address is taken away from it."""

    def __init__(
        self,
        api: Api,
        recorder: Recorder,
        images: Images,
        environment: Environment,
        pod: Object,
        address: str,
        logs: Path,
    ) -> None:
        self._api = api
        self._recorder = recorder
        self._images = images
        self._environment = environment
        self._address = address
        self._logs = logs / pod["metadata"]["namespace"] / pod["metadata"]["name"]
        self._sent: Object = {}
        self._started_at = timestamp()
        self._probing: set[asyncio.Task[None]] = set()
        self.pod = pod
        self.containers = [Container(spec) for spec in pod["spec"]["containers"]]

    async def run(self) -> None:
        """Until the pod is gone."""
        try:
            while not self.pod["metadata"].get("deletionTimestamp"):
                for container in self.containers:
                    await self._look_after(container)
                await self._tell()
                if self._phase() in {"Succeeded", "Failed"}:
                    break
                await asyncio.sleep(TICK)
            while not self.pod["metadata"].get("deletionTimestamp"):
                await asyncio.sleep(TICK)
            await self._end()
        finally:
            for container in self.containers:
                if container.running:
                    container.running.signal(signal.SIGKILL)
            for task in self._probing:
                task.cancel()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _look_after(self, container: Container) -> None:
        if container.end and container.end.done():
            await self._ended(container, container.end.result())
        if container.running:
            self._limit_memory(container)
            self._probe(container)
        elif container.ended is None and self._now() >= container.due:
            await self._start(container)

    async def _start(self, container: Container) -> None:
        image = container.spec["image"]
        command = self._images.command(container.spec)
        if command is None:
            await self._not_pulled(container, image)
            return
        try:
            environment = await self._environment(self.pod, container.spec)
        except Missing as error:
            container.waiting, container.due = ("CreateContainerConfigError", str(error)), self._now() + PULL_AGAIN
            await self._event(container, "Failed", f"Error: {error}", warning=True)
            return
        log = self._logs / f"{container.name}.log"
        try:
            running = await containers.start(command, environment, self._logs.parent, log, container.restarts)
        except OSError as error:
            message = f'failed to start container "{container.name}": exec: "{command[0]}": {error.strerror}'
            container.waiting, container.due = ("RunContainerError", message), self._now() + PULL_AGAIN
            await self._event(container, "Failed", f"Error: {message}", warning=True)
            return
        container.environment = environment
        container.running, container.end = running, asyncio.create_task(running.wait())
        given = {name: container.spec[field] for name, field in PROBES.items() if field in container.spec}
        container.probes = {name: Probe(spec, healthy=name == "liveness") for name, spec in given.items()}
        for probe in container.probes.values():
            probe.due = self._now() + probe.spec.get("initialDelaySeconds", 0)
        await self._event(container, "Pulled", f'Container image "{image}" already present on machine')
        await self._event(container, "Created", f"Created container: {container.name}")
        await self._event(container, "Started", f"Started container {container.name}")

    async def _not_pulled(self, container: Container, image: str) -> None:
        """An image that no registry has: an error, then a back-off, as the real kubelet alternates them."""
        words = f'failed to pull and unpack image "{image}": not found'
        first = container.waiting[0] != "ErrImagePull"
        back = f'Back-off pulling image "{image}"'
        container.waiting = ("ErrImagePull", words) if first else ("ImagePullBackOff", back)
        container.crashes += first
        container.due = self._now() + (1.0 if first else BACK_OFF[min(container.crashes, len(BACK_OFF)) - 1])
        if first:
            await self._event(container, "Pulling", f'Pulling image "{image}"')
            await self._event(container, "Failed", f'Failed to pull image "{image}": {words}', warning=True)
            await self._event(container, "Failed", "Error: ErrImagePull", warning=True)
        else:
            await self._event(container, "BackOff", back)
            await self._event(container, "Failed", "Error: ImagePullBackOff", warning=True)

    async def _ended(self, container: Container, ended: containers.Ended) -> None:
        assert container.running is not None  # noqa: S101 - only what ran can end
        ran = self._now() - container.running.started
        container.running = container.end = None
        policy = self.pod["spec"].get("restartPolicy", "Always")
        again = policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)
        if not again:
            container.ended = ended
            return
        container.before = ended
        container.restarts += 1
        container.crashes = 0 if ran > FORGIVEN else container.crashes + 1
        # The first restart is at once; whoever crashes again waits.
        wait = BACK_OFF[min(container.crashes - 1, len(BACK_OFF)) - 1] if container.crashes > 1 else 0.0
        container.due = self._now() + wait
        if wait:
            metadata = self.pod["metadata"]
            who = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
            words = f"back-off {_go_duration(wait)} restarting failed container={container.name} pod={who}"
            container.waiting = ("CrashLoopBackOff", words)
            told = f"Back-off restarting failed container {container.name} in pod {who}"
            await self._event(container, "BackOff", told, warning=True)

    def _limit_memory(self, container: Container) -> None:
        """Kills what needs more than its limit, as the kernel does it for a cgroup."""
        limit = (container.spec.get("resources") or {}).get("limits", {}).get("memory")
        if limit and container.running and container.running.usage()[1] > amount(limit):
            container.running.out_of_memory = True
            container.running.signal(signal.SIGKILL)

    def _probe(self, container: Container) -> None:
        started = "startup" not in container.probes or container.probes["startup"].healthy
        for name, probe in container.probes.items():
            if self._now() < probe.due or (name == "startup") == started:
                continue
            probe.due = self._now() + probe.spec.get("periodSeconds", 10)
            task = asyncio.create_task(self._answer(container, name, probe))
            self._probing.add(task)
            task.add_done_callback(self._probing.discard)

    async def _answer(self, container: Container, name: str, probe: Probe) -> None:
        asked = container.running
        words = await ask(probe.spec, self._address, container.spec, container.environment)
        if asked is None or container.running is not asked:
            return  # it was restarted meanwhile
        if words:
            told = f"{name.capitalize()} probe failed: {words}"
            await self._event(container, "Unhealthy", told, warning=True)
        failing = probe.count(good=not words) and words
        if failing and name in {"liveness", "startup"}:
            told = f"Container {container.name} failed {name} probe, will be restarted"
            await self._event(container, "Killing", told)
            await self._stop(container, asked, int(self.pod["spec"].get("terminationGracePeriodSeconds", 30)))

    async def _stop(self, container: Container, running: containers.Running, grace: int) -> None:
        """SIGTERM, and SIGKILL for what is still there after its grace."""
        running.signal(signal.SIGTERM)
        if container.end:
            await asyncio.wait({container.end}, timeout=grace)
        running.signal(signal.SIGKILL)

    async def _end(self) -> None:
        """The pod was deleted: everything ends in its grace, and then the object goes."""
        metadata = self.pod["metadata"]
        grace = int(metadata.get("deletionGracePeriodSeconds") or 0)
        stopping = []
        for container in self.containers:
            if container.running:
                await self._event(container, "Killing", f"Stopping container {container.name}")
                stopping.append(self._stop(container, container.running, grace))
        await asyncio.gather(*stopping)
        for container in self.containers:
            if container.end:
                await container.end
        try:
            await self._api.delete(PODS, self.pod, gracePeriodSeconds=0)
        except RefusedByServerError as error:
            if error.code != 404:
                raise

    def _phase(self) -> str:
        if any(c.running or c.before for c in self.containers):
            return "Running"
        codes = [c.ended.exit_code for c in self.containers if c.ended]
        if len(codes) < len(self.containers):
            return "Pending"
        return "Failed" if any(codes) else "Succeeded"

    async def _tell(self) -> None:
        """The status, where it changed."""
        status = self._status()
        if status == self._sent or self.pod["metadata"].get("deletionTimestamp"):
            return
        now = timestamp()
        before = {c["type"]: c for c in (self.pod.get("status") or {}).get("conditions") or []}
        for condition in status["conditions"]:
            known = before.get(condition["type"], {})
            same = known.get("status") == condition["status"]
            condition["lastTransitionTime"] = known.get("lastTransitionTime", now) if same else now
        try:
            self.pod = await self._api.patch(PODS, self.pod, {"status": status}, "status", form=STRATEGIC)
        except RefusedByServerError as error:
            if error.code != 404:
                raise
        self._sent = self._status()

    def _status(self) -> Object:
        ready = all(c.ready for c in self.containers)
        names = [c.name for c in self.containers if not c.ready]
        unready = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{' '.join(names)}]"}
        conditions: list[Object] = [
            {"type": "Initialized", "status": "True"},
            *({"type": t, "status": str(ready), **({} if ready else unready)} for t in ("Ready", "ContainersReady")),
        ]
        return {
            "phase": self._phase(),
            "conditions": conditions,
            "hostIP": "127.0.0.1",
            "podIP": self._address,
            "podIPs": [{"ip": self._address}],
            "startTime": self._started_at,
            "containerStatuses": [_container_status(c) for c in self.containers],
        }

    async def _event(self, container: Container, reason: str, message: str, *, warning: bool = False) -> None:
        await self._recorder.tell(PODS, self.pod, reason, message, warning=warning, field=container.where)


def _container_status(container: Container) -> Object:
    if container.running:
        state: dict[str, Any] = {"running": {"startedAt": container.running.started_at}}
    elif container.ended:
        state = {"terminated": container.ended.record()}
    else:
        reason, message = container.waiting
        state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
    image = container.spec["image"]
    return {
        "name": container.name,
        "image": image,
        "imageID": image if container.running or container.before or container.ended else "",
        "containerID": container.running.container_id if container.running else "",
        "ready": container.ready,
        "started": bool(container.running) and container.probes.get("startup", Probe({}, healthy=True)).healthy,
        "restartCount": container.restarts,
        "state": state,
        "lastState": {"terminated": container.before.record()} if container.before else {},
    }


def _go_duration(seconds: float) -> str:
    """
    >>> _go_duration(10), _go_duration(80), _go_duration(300)
    ('10s', '1m20s', '5m0s')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
