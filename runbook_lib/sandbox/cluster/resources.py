"""The verbs on what is stored: the same for every kind, with the kind's own rules asked for at each write."""

import base64
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from runbook_lib.sandbox.cluster import fields, patches, rules, selectors, status
from runbook_lib.sandbox.cluster.kinds import Kind, kind
from runbook_lib.sandbox.cluster.printing import table
from runbook_lib.sandbox.cluster.requests import Wanted, decoded
from runbook_lib.sandbox.cluster.store import Entry, Key, Object, Store, timestamp, typed

UNSET = ("uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp", "managedFields")
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of generated names: no vowels, so that none becomes a word."""


class Resources:
    """Reading and writing the store. Everything raises ApiError with the answer."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._pages: dict[str, tuple[list[tuple[Key, Entry]], int]] = {}

    def get(self, wanted: Wanted) -> bytes:
        entry = self.store.get(wanted.kind, wanted.key)
        if wanted.subresource == "scale":
            return orjson.dumps(rules.scale_of(entry.load()))
        if wanted.shape == "Table":
            metadata = {"resourceVersion": str(entry.version)}
            return orjson.dumps(table(wanted.kind, [entry.load()], metadata, whole=_whole(wanted)))
        if wanted.shape.startswith("Partial"):
            return orjson.dumps(_partial(entry.load()))
        return typed(wanted.kind, entry.encoded)

    def many(self, wanted: Wanted) -> bytes:
        found, version = self._page(wanted)
        limit = wanted.number("limit")
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if limit and len(found) > limit:
            rest, found = found[limit:], found[:limit]
            metadata["continue"] = self._keep(rest, version)
            metadata["remainingItemCount"] = len(rest)
        if wanted.shape == "Table":
            items = (entry.load() for _, entry in found)
            return orjson.dumps(table(wanted.kind, items, metadata, whole=_whole(wanted)))
        if wanted.shape.startswith("Partial"):
            items_of = [_partial(entry.load()) for _, entry in found]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
            return orjson.dumps({**head, "items": items_of})
        head_text = b'{"kind":"%sList","apiVersion":"%s","metadata":%s,"items":[' % (
            wanted.kind.kind.encode(),
            wanted.kind.api_version.encode(),
            orjson.dumps(metadata),
        )
        return head_text + b",".join(entry.encoded for _, entry in found) + b"]}"

    def _page(self, wanted: Wanted) -> tuple[list[tuple[Key, Entry]], int]:
        token = wanted.query.get("continue", "")
        if token:
            if token not in self._pages:
                raise status.gone("The provided continue parameter is too old to display a consistent list result.")
            return self._pages.pop(token)
        return self.chosen(wanted), self.store.version

    def _keep(self, rest: list[tuple[Key, Entry]], version: int) -> str:
        """The rest of a list as it was when its first page was read; the oldest of many is forgotten."""
        token = base64.urlsafe_b64encode(random.randbytes(18)).decode()  # noqa: S311 - no secret hangs on it
        self._pages[token] = (rest, version)
        while len(self._pages) > 64:
            del self._pages[next(iter(self._pages))]
        return token

    def chosen(self, wanted: Wanted) -> list[tuple[Key, Entry]]:
        """What the selectors of the request choose."""
        labels, chosen_fields = self.selectors(wanted)
        found = self.store.entries(wanted.kind, wanted.namespace)
        if labels:
            found = [item for item in found if selectors.matches(labels, item[1].labels)]
        if chosen_fields:
            found = [item for item in found if selectors.has_fields(chosen_fields, item[1].load())]
        return found

    def selectors(self, wanted: Wanted) -> tuple[list[selectors.Test], list[tuple[str, str, bool]]]:
        try:
            labels = selectors.parse(wanted.query.get("labelSelector", ""))
            return labels, selectors.fields(wanted.query.get("fieldSelector", ""), wanted.kind.plural)
        except ValueError as error:
            raise status.bad_request(str(error)) from error

    def create(self, wanted: Wanted) -> bytes:
        item = decoded(wanted.body, wanted.content_type)
        metadata = self._metadata(wanted, item)
        fields.decodable(wanted.kind, item, wanted.query.get("fieldValidation", ""))
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + "".join(random.choices(SUFFIX, k=5))  # noqa: S311 - a name
        if wanted.kind.namespaced:
            self._into(wanted, metadata)
        for field in UNSET:
            metadata.pop(field, None)
        if "status" in wanted.kind.subresources:
            item.pop("status", None)
        rules.complete(wanted.kind, item, self.store)
        rules.check(wanted.kind, item, None)
        rules.admit(wanted.kind, item, self.store)
        entry = self.store.create(wanted.kind, item, dry_run=wanted.dry_run)
        return typed(wanted.kind, entry.encoded)

    def _into(self, wanted: Wanted, metadata: Object) -> None:
        """A namespace has to be there, and to stay."""
        namespace = self.store.get(kind("namespaces"), ("", wanted.namespace)).load()
        if namespace["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {wanted.namespace} because it is being terminated"
            name = metadata.get("name", "")
            raise status.forbidden(f'{wanted.kind.resource} "{name}" is forbidden: {why}', wanted.kind, name)

    def _metadata(self, wanted: Wanted, item: Object) -> Object:
        given = (item.get("kind", wanted.kind.kind), item.get("apiVersion", wanted.kind.api_version))
        if given != (wanted.kind.kind, wanted.kind.api_version):
            raise status.bad_request(
                f"{given[0]} in version {given[1]!r} cannot be handled as a {wanted.kind.kind}: no kind matches"
            )
        metadata: Object = item.setdefault("metadata", {})
        there = metadata.get("namespace") or wanted.namespace
        if wanted.kind.namespaced and there != wanted.namespace:
            raise status.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if wanted.kind.namespaced:
            metadata["namespace"] = wanted.namespace
        else:
            metadata.pop("namespace", None)
        if wanted.name and metadata.setdefault("name", wanted.name) != wanted.name:
            raise status.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({wanted.name})"
            )
        return metadata

    def update(self, wanted: Wanted) -> bytes:
        item = decoded(wanted.body, wanted.content_type)
        self._metadata(wanted, item)
        return self._replace(wanted, item)

    def patch(self, wanted: Wanted) -> tuple[bytes, int]:
        """The object, and 201 where a server-side apply made it."""
        before = self.store.find(wanted.kind, wanted.key)
        if before is None:
            if wanted.content_type != patches.APPLY:
                raise status.not_found(wanted.kind, wanted.name)
            made = patches.patched({}, wanted.body, wanted.content_type)
            body = orjson.dumps(made)
            return self.create(_with_body(wanted, body)), 201
        present = before.load()
        if wanted.subresource == "scale":
            scale = patches.patched(rules.scale_of(present), wanted.body, wanted.content_type)
            return self._scaled(wanted, scale), 200
        item = patches.patched(present, wanted.body, wanted.content_type)
        item.pop("kind", None)
        item.pop("apiVersion", None)
        self._metadata(wanted, item)
        return self._replace(wanted, item), 200

    def _replace(self, wanted: Wanted, item: Object) -> bytes:
        if wanted.subresource == "scale":
            return self._scaled(wanted, item)
        entry = self.store.get(wanted.kind, wanted.key)
        before = entry.load()
        if wanted.subresource:
            item = {**before, "status": item.get("status", {}), "metadata": _versioned(before, item)}
        elif "status" in wanted.kind.subresources:
            item["status"] = before.get("status", {})
        validation = wanted.query.get("fieldValidation", "")
        return self.write(wanted.kind, item, before, dry_run=wanted.dry_run, validation=validation)

    def write(self, of: Kind, item: Object, before: Object, *, dry_run: bool = False, validation: str = "") -> bytes:
        """Puts `item` in the place of `before`, by the rules of its kind."""
        for field in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if field in before["metadata"]:
                item["metadata"][field] = before["metadata"][field]
            else:
                item["metadata"].pop(field, None)
        fields.decodable(of, item, validation)
        rules.complete(of, item, self.store)
        rules.check(of, item, before)
        if of.spec and item.get("spec") != before.get("spec"):
            item["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
        entry = self.store.update(of, item, dry_run=dry_run)
        gone = item["metadata"].get("deletionTimestamp") and not item["metadata"].get("finalizers")
        if gone and not dry_run and of.kind != "Pod":
            entry = self.store.delete(of, (item["metadata"].get("namespace", ""), item["metadata"]["name"]))
        return typed(of, entry.encoded)

    def _scaled(self, wanted: Wanted, scale: Object) -> bytes:
        before = self.store.get(wanted.kind, wanted.key).load()
        item = {**before, "spec": {**before["spec"], "replicas": (scale.get("spec") or {}).get("replicas", 0)}}
        item["metadata"] = _versioned(before, scale)
        self.write(wanted.kind, item, before, dry_run=wanted.dry_run)
        return orjson.dumps(rules.scale_of(item))

    def delete(self, wanted: Wanted) -> bytes:
        options = decoded(wanted.body, wanted.content_type) if wanted.body else {}
        dry_run = wanted.dry_run or "All" in (options.get("dryRun") or [])
        before = self.store.get(wanted.kind, wanted.key)
        item = before.load()
        _precondition(wanted, item, options.get("preconditions") or {})
        return self._deleted(wanted.kind, item, self._grace(wanted, options, item), options, dry_run=dry_run)

    def _grace(self, wanted: Wanted, options: Mapping[str, Any], item: Object) -> int | None:
        """Seconds that a pod has to end; None for what is gone at once."""
        if wanted.kind.kind != "Pod" or not (item.get("spec") or {}).get("nodeName"):
            return None
        given = options.get("gracePeriodSeconds", wanted.query.get("gracePeriodSeconds"))
        phase = (item.get("status") or {}).get("phase")
        if phase in {"Succeeded", "Failed"}:
            return None
        return int(given) if given is not None else int(item["spec"].get("terminationGracePeriodSeconds", 30))

    def _deleted(
        self, of: Kind, item: Object, grace: int | None, options: Mapping[str, Any], *, dry_run: bool
    ) -> bytes:
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        policy = options.get("propagationPolicy") or ""
        finalizers = list(metadata.get("finalizers") or [])
        wanted = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
        if of.kind == "Namespace" and "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        if wanted and wanted not in finalizers:
            finalizers.append(wanted)
        if not finalizers and not grace:
            gone = self.store.delete(of, key, dry_run=dry_run)
            if of.kind == "Pod":  # the one kind of ours whose delete answers with what was deleted
                return typed(of, gone.encoded)
            return orjson.dumps(status.success(of, key[1], metadata["uid"]))
        metadata.setdefault("deletionTimestamp", timestamp())
        if of.kind == "Namespace":
            item["status"] = {"phase": "Terminating"}
        if grace is not None:
            metadata["deletionGracePeriodSeconds"] = grace
        if finalizers:
            metadata["finalizers"] = finalizers
        metadata.pop("resourceVersion", None)
        entry = self.store.update(of, item, dry_run=dry_run)
        return typed(of, entry.encoded)

    def delete_collection(self, wanted: Wanted) -> bytes:
        options = decoded(wanted.body, wanted.content_type) if wanted.body else {}
        dry_run = wanted.dry_run or "All" in (options.get("dryRun") or [])
        found = self.chosen(wanted)
        answer = self.many(wanted)
        for _, entry in found:
            item = entry.load()
            self._deleted(wanted.kind, item, self._grace(wanted, options, item), options, dry_run=dry_run)
        return answer


def _precondition(wanted: Wanted, item: Object, given: Mapping[str, Any]) -> None:
    for field in ("uid", "resourceVersion"):
        have = item["metadata"].get(field)
        if given.get(field) not in {None, have}:
            why = f"Precondition failed: {field.upper()} in precondition: {given[field]}, in object meta: {have}"
            raise status.conflict(wanted.kind, wanted.name, why)


def _with_body(wanted: Wanted, body: bytes) -> Wanted:
    return replace(wanted, body=body, content_type="application/json")


def _versioned(before: Object, given: Object) -> Object:
    """The metadata as it was, at the version that the caller knew."""
    version = (given.get("metadata") or {}).get("resourceVersion", "")
    return {**before["metadata"], "resourceVersion": version}


def _whole(wanted: Wanted) -> str:
    return wanted.query.get("includeObject") or "Metadata"


def _partial(item: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
