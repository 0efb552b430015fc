"""The process of the controllers: `python -m runbook_lib.sandbox.cluster.controllers.run KUBECONFIG CONTEXT`."""

import asyncio
import logging
import sys
from pathlib import Path

from runbook_lib.sandbox.cluster.client import Api, Informer, forever
from runbook_lib.sandbox.cluster.controllers import deployments, endpoints, housekeeping, replica_sets, scheduler

CONTROLLERS = (
    (deployments.Deployments, deployments.KINDS),
    (replica_sets.ReplicaSets, replica_sets.KINDS),
    (endpoints.Endpoints, endpoints.KINDS),
    (scheduler.Scheduler, scheduler.KINDS),
    (housekeeping.Housekeeping, housekeeping.KINDS),
)
RESYNC_SECONDS = 5.0
"""Deadlines pass without a change: somebody has to look."""


async def run(kubeconfig: Path, context: str) -> None:
    """All controllers, each with its own watches, as they would be in processes of their own."""
    api = Api(kubeconfig, context)
    async with asyncio.TaskGroup() as tasks:
        for make, kinds in CONTROLLERS:
            informer = Informer(api, kinds)
            await informer.run(tasks)
            tasks.create_task(forever(informer, make(api, informer).reconcile, RESYNC_SECONDS))


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))
