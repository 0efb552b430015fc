"""The kubelet: `python -m runbook_lib.sandbox.cluster.kubelet.run KUBECONFIG CONTEXT NODE LOGS IMAGES`."""

import asyncio
import logging
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any

import psutil

from runbook_lib.sandbox.cluster.client import Api, Informer, Object, RefusedByServerError
from runbook_lib.sandbox.cluster.events import Recorder
from runbook_lib.sandbox.cluster.kinds import kind
from runbook_lib.sandbox.cluster.kubelet.environment import environment
from runbook_lib.sandbox.cluster.kubelet.images import Images
from runbook_lib.sandbox.cluster.kubelet.pods import PODS, PodWorker
from runbook_lib.sandbox.cluster.store import timestamp

NODES = kind("nodes")
HEARTBEAT_SECONDS = 10.0
MOST_PODS = 110


class Kubelet:
    """One node: registers itself, runs the pods that are placed on it, and says that it lives."""

    def __init__(self, api: Api, node: str, logs: Path, images: Images) -> None:
        self._api = api
        self._node = node
        self._logs = logs
        self._images = images
        self._recorder = Recorder(api, "kubelet", node)
        self._informer = Informer(api, (PODS,), {"pods": f"spec.nodeName={node}"})
        self._workers: dict[str, tuple[PodWorker, asyncio.Task[None], str]] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            await self._register()
            await self._informer.run(tasks)
            tasks.create_task(self._beat())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            self._informer.changed.clear()
            there = {pod["metadata"]["uid"]: pod for pod in self._informer.all(PODS)}
            for uid, pod in there.items():
                if uid not in self._workers:
                    self._take(uid, pod)
                elif pod["metadata"].get("deletionTimestamp"):
                    self._workers[uid][0].pod = pod
            for uid in [u for u, (_, task, _) in self._workers.items() if u not in there or task.done()]:
                worker, task, _ = self._workers[uid]
                if task.done():
                    task.result()
                    if uid not in there:
                        del self._workers[uid]
                elif not worker.pod["metadata"].get("deletionTimestamp"):
                    # Deleted by force: the object is gone, what ran for it goes, too.
                    task.cancel()
                    del self._workers[uid]
            await self._informer.changed.wait()

    def _take(self, uid: str, pod: Object) -> None:
        if (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
            return
        address = self._free_address()

        async def known(of: Object, container: Object) -> dict[str, str]:
            return await environment(self._api, of, container, address)

        worker = PodWorker(self._api, self._recorder, self._images, known, pod, address, self._logs)
        self._workers[uid] = (worker, asyncio.create_task(worker.run()), address)

    def _free_address(self) -> str:
        """Every pod has a loopback address of its own, where the system has more than one."""
        if sys.platform != "linux":
            return "127.0.0.1"
        taken = {address for _, _, address in self._workers.values()}
        block = os.getpid() % 250 + 1
        return next(a for n in range(250) for m in range(2, 250) if (a := f"127.{block}.{n}.{m}") not in taken)

    async def _register(self) -> None:
        labels = {"kubernetes.io/hostname": self._node, "kubernetes.io/os": sys.platform}
        try:
            await self._api.create(NODES, {"metadata": {"name": self._node, "labels": labels}, "spec": {}})
        except RefusedByServerError as error:
            if error.code != 409:
                raise

    async def _beat(self) -> None:
        while True:
            node = {"metadata": {"name": self._node}}
            await self._api.patch(NODES, node, {"status": self._status()}, "status")
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _status(self) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        there = {"cpu": str(os.cpu_count()), "memory": f"{memory.total // 1024}Ki", "pods": str(MOST_PODS)}
        now = timestamp()
        short = memory.available < 100 * 2**20
        conditions = [
            ("MemoryPressure", str(short), "KubeletHasInsufficientMemory" if short else "KubeletHasSufficientMemory"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID"),
            ("Ready", "True", "KubeletReady"),
        ]
        return {
            "capacity": there,
            "allocatable": there,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": self._node}],
            "conditions": [
                {"type": name, "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now}
                for name, status, reason in conditions
            ],
            "nodeInfo": {
                "kubeletVersion": "v1.32.0+runbook-sandbox",
                "kubeProxyVersion": "",
                "containerRuntimeVersion": "process://1",
                "operatingSystem": sys.platform,
                "architecture": platform.machine(),
                "osImage": platform.platform(terse=True),
                "kernelVersion": platform.release(),
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        }


async def _main(kubeconfig: str, context: str, node: str, logs: str, images: str) -> None:
    kubelet = Kubelet(Api(Path(kubeconfig), context), node, Path(logs), Images(Path(images)))
    task = asyncio.create_task(kubelet.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        for _, worker, _ in kubelet._workers.values():
            worker.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(_main(*sys.argv[1:]))
