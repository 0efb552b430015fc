"""Events as the real components write them: the same one again counts up instead of being new."""

import hashlib
import logging
from typing import Any

from runbook_lib.sandbox.cluster.client import Api, Object, RefusedByServerError
from runbook_lib.sandbox.cluster.kinds import Kind, kind
from runbook_lib.sandbox.cluster.store import timestamp

log = logging.getLogger(__name__)
EVENTS = kind("events")


class Recorder:
    """Writes the events of one component."""

    def __init__(self, api: Api, component: str, host: str = "") -> None:
        self._api = api
        self._source = {"component": component} | ({"host": host} if host else {})
        self._known: dict[str, int] = {}

    async def tell(
        self, of: Kind, item: Object, reason: str, message: str, *, warning: bool = False, field: str = ""
    ) -> None:
        """`field` is the part that it is about: `spec.containers{web}`."""
        metadata = item["metadata"]
        about: dict[str, Any] = {
            "kind": of.kind,
            "apiVersion": of.api_version,
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        about |= {"namespace": metadata["namespace"]} if metadata.get("namespace") else {}
        about |= {"fieldPath": field} if field else {}
        same = f"{metadata.get('uid')}{reason}{message}{field}{self._source}"
        name = f"{metadata['name']}.{hashlib.sha256(same.encode()).hexdigest()[:16]}"
        namespace, now = metadata.get("namespace") or "default", timestamp()
        count = self._known.get(same, 0) + 1
        self._known[same] = count
        if count > 1:
            try:
                place = {"metadata": {"name": name, "namespace": namespace}}
                await self._api.patch(EVENTS, place, {"count": count, "lastTimestamp": now})
            except RefusedByServerError:
                self._known[same] = count = 1
        if count == 1:
            event = {
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": about,
                "reason": reason,
                "message": message,
                "type": "Warning" if warning else "Normal",
                "source": self._source,
                "reportingComponent": self._source["component"],
                "reportingInstance": self._source.get("host", ""),
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "eventTime": None,
            }
            await self._create(event)

    async def _create(self, event: Object) -> None:
        try:
            await self._api.create(EVENTS, event)
        except RefusedByServerError as error:
            # The namespace is going away, or it was told before our restart. An event is never worth the work itself.
            log.info("event not written: %s", error)
