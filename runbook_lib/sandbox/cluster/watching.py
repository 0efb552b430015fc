"""Watches: changes as they come, one JSON line each, with bookmarks, until time is up or the server ends."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import orjson

from runbook_lib.sandbox.cluster import selectors, status
from runbook_lib.sandbox.cluster.printing import table
from runbook_lib.sandbox.cluster.requests import Wanted
from runbook_lib.sandbox.cluster.resources import Resources
from runbook_lib.sandbox.cluster.store import Entry, Event, typed

SHORTEST, LONGEST = 1800, 3600
"""Seconds for which a watch lasts where the client does not say, as the real server draws them."""
BOOKMARK_SECONDS = 10.0


def start(resources: Resources, wanted: Wanted) -> int:
    """From which version on. Raises ApiError: 410 for one that is forgotten, 400 for selectors that are none."""
    resources.selectors(wanted)
    version = resources.store.version if _from_now(wanted) else wanted.number("resourceVersion")
    resources.store.since(version, wanted.kind, wanted.namespace)
    return version


def _from_now(wanted: Wanted) -> bool:
    return wanted.query.get("resourceVersion", "") in {"", "0"}


async def watch(resources: Resources, wanted: Wanted, version: int, ending: asyncio.Event) -> AsyncIterator[bytes]:
    """The lines of a watch; where no version was given, what is there comes first."""
    lines = _Lines(wanted, resources)
    store, changed = resources.store, resources.store.watcher()
    seconds = wanted.number("timeoutSeconds") or random.randint(SHORTEST, LONGEST)  # noqa: S311 - no secret
    told = time.monotonic()
    end = told + seconds
    try:
        if _from_now(wanted):
            for _, entry in resources.chosen(wanted):
                yield lines.line("ADDED", entry)
        while time.monotonic() < end and not ending.is_set():
            changed.clear()
            for event in store.since(version, wanted.kind, wanted.namespace):
                yield lines.of(event)
            version = store.version
            if wanted.flag("allowWatchBookmarks") and time.monotonic() - told > BOOKMARK_SECONDS:
                told = time.monotonic()
                yield lines.bookmark(version)
            await _either(changed, ending, min(BOOKMARK_SECONDS, end - time.monotonic()))
    except status.ApiError as error:
        yield orjson.dumps({"type": "ERROR", "object": error.body}) + b"\n"
    finally:
        store.unwatch(changed)


async def _either(one: asyncio.Event, other: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(one.wait()), asyncio.create_task(other.wait())]
    await asyncio.wait(waits, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


class _Lines:
    """What the client asked for, in the shape that it asked for."""

    def __init__(self, wanted: Wanted, resources: Resources) -> None:
        self._wanted = wanted
        self._labels, self._fields = resources.selectors(wanted)
        if wanted.name:
            self._fields = [*self._fields, ("metadata.name", wanted.name, True)]
        self._headed = True

    def of(self, event: Event) -> bytes:
        """An object that comes into the selection was added to it, one that leaves it was deleted from it."""
        was, is_now = self._chosen(event.before), event.change != "DELETED" and self._chosen(event.entry)
        if is_now:
            return self.line("MODIFIED" if was else "ADDED", event.entry)
        return self.line("DELETED", event.entry) if was else b""

    def _chosen(self, entry: Entry | None) -> bool:
        if entry is None or not selectors.matches(self._labels, entry.labels):
            return False
        return not self._fields or selectors.has_fields(self._fields, entry.load())

    def line(self, change: str, entry: Entry) -> bytes:
        kind = self._wanted.kind
        if self._wanted.shape == "Table":
            whole = self._wanted.query.get("includeObject") or "Metadata"
            metadata = {"resourceVersion": str(entry.version)}
            shown = orjson.dumps(table(kind, [entry.load()], metadata, whole=whole, headed=self._headed))
            self._headed = False
        elif self._wanted.shape.startswith("Partial"):
            partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            shown = orjson.dumps({**partial, "metadata": entry.load()["metadata"]})
        else:
            shown = typed(kind, entry.encoded)
        return b'{"type":"%s","object":%s}\n' % (change.encode(), shown)

    def bookmark(self, version: int) -> bytes:
        kind = self._wanted.kind
        body = orjson.dumps({"metadata": {"resourceVersion": str(version), "creationTimestamp": None}})
        return b'{"type":"BOOKMARK","object":%s}\n' % typed(kind, body)
