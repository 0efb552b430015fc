"""Objects by kind, namespace and name, with one counter of versions and a memory of the latest changes.

Objects are kept as encoded JSON without `kind` and `apiVersion`, as lists have them, so that a list of thousands is
joined, not encoded. The store knows no rules of any kind; it belongs to one thread.
"""

import asyncio
import uuid
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from runbook_lib.sandbox.cluster.kinds import Kind
from runbook_lib.sandbox.cluster.status import already_exists, conflict, gone, not_found

Key = tuple[str, str]
"""Namespace (empty for what has none) and name."""
Object = dict[str, Any]
Change = Literal["ADDED", "MODIFIED", "DELETED"]
REMEMBERED = 20_000
"""Changes kept for watchers that come back; older ones are told 410, as etcd's compaction does it."""
FIRST_VERSION = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """An object as it is kept: `labels` beside it, since most questions are about those."""

    version: int
    labels: Mapping[str, str]
    encoded: bytes

    def load(self) -> Object:
        value: Object = orjson.loads(self.encoded)
        return value


@dataclass(frozen=True, slots=True)
class Event:
    """A change; `before` is what was there, so that a watcher knows whether it saw that."""

    version: int
    change: Change
    kind: Kind
    key: Key
    entry: Entry
    before: Entry | None


class Store:
    """All objects of one cluster. Every method raises ApiError as its name suggests."""

    def __init__(self) -> None:
        self.version = FIRST_VERSION
        self._kinds: dict[Kind, dict[Key, Entry]] = {}
        self._events: deque[Event] = deque(maxlen=REMEMBERED)
        self._oldest = FIRST_VERSION
        self._watchers: set[asyncio.Event] = set()

    def entries(self, kind: Kind, namespace: str = "") -> list[tuple[Key, Entry]]:
        """Sorted by namespace and name; of all namespaces where none is given."""
        found = self._kinds.get(kind, {})
        return sorted((item for item in found.items() if not namespace or item[0][0] == namespace), key=_key)

    def objects(self, kind: Kind, namespace: str = "") -> Iterator[Object]:
        return (entry.load() for _, entry in self.entries(kind, namespace))

    def find(self, kind: Kind, key: Key) -> Entry | None:
        return self._kinds.get(kind, {}).get(key)

    def get(self, kind: Kind, key: Key) -> Entry:
        entry = self.find(kind, key)
        if entry is None:
            raise not_found(kind, key[1])
        return entry

    def create(self, kind: Kind, item: Object, *, dry_run: bool = False) -> Entry:
        """Gives it uid, creation time and version, unless a loaded object brings its own."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if self.find(kind, key):
            raise already_exists(kind, key[1])
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", timestamp())
        if kind.spec:
            metadata.setdefault("generation", 1)
        return self._write("ADDED", kind, key, item, None, dry_run=dry_run)

    def update(self, kind: Kind, item: Object, *, dry_run: bool = False) -> Entry:
        """Replaces it; a version that it names has to be the present one. An unchanged object keeps its version."""
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self.get(kind, key)
        given = metadata.get("resourceVersion")
        if given and given != str(before.version):
            raise conflict(kind, key[1])
        metadata["resourceVersion"] = str(before.version)
        if _encode(item) == before.encoded:
            return before
        return self._write("MODIFIED", kind, key, item, before, dry_run=dry_run)

    def delete(self, kind: Kind, key: Key, *, dry_run: bool = False) -> Entry:
        before = self.get(kind, key)
        if dry_run:
            return before
        item = before.load()
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        entry = Entry(self.version, before.labels, _encode(item))
        del self._kinds[kind][key]
        self._tell(Event(self.version, "DELETED", kind, key, entry, before))
        return entry

    def _write(
        self, change: Change, kind: Kind, key: Key, item: Object, before: Entry | None, *, dry_run: bool
    ) -> Entry:
        version = self.version + 1
        if dry_run:
            version = before.version if before else version
        item["metadata"]["resourceVersion"] = str(version)
        entry = Entry(version, item["metadata"].get("labels") or {}, _encode(item))
        if not dry_run:
            self.version = version
            self._kinds.setdefault(kind, {})[key] = entry
            self._tell(Event(version, change, kind, key, entry, before))
        return entry

    def _tell(self, event: Event) -> None:
        if len(self._events) == REMEMBERED:
            self._oldest = self._events[0].version
        self._events.append(event)
        for watcher in self._watchers:
            watcher.set()

    def since(self, version: int, kind: Kind, namespace: str) -> list[Event]:
        """Changes after a version, oldest first."""
        if version < self._oldest:
            raise gone(f"too old resource version: {version} ({self._oldest})")
        first = bisect_right(self._events, version, key=lambda e: e.version)
        return [
            e
            for e in (self._events[i] for i in range(first, len(self._events)))
            if e.kind is kind and (not namespace or e.key[0] == namespace)
        ]

    def watcher(self) -> asyncio.Event:
        """Set at each change; to be handed back with `unwatch`."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: asyncio.Event) -> None:
        self._watchers.discard(watcher)


def typed(kind: Kind, encoded: bytes) -> bytes:
    """An encoded object with its kind and version in front."""
    return b'{"kind":"%s","apiVersion":"%s",%s' % (kind.kind.encode(), kind.api_version.encode(), encoded[1:])


def _encode(item: Object) -> bytes:
    return orjson.dumps({k: v for k, v in item.items() if k not in {"kind", "apiVersion"}})


def _key(item: tuple[Key, Entry]) -> Key:
    return item[0]


def timestamp(at: datetime | None = None) -> str:
    """Whole seconds, as `metav1.Time` is written."""
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
