"""A cluster as it was: what `kubectl get -o json|yaml` printed, read from a folder, and written to one."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from runbook_lib.errors import UsageError
from runbook_lib.sandbox.cluster import defaults
from runbook_lib.sandbox.cluster.kinds import Kind, Registry, kind
from runbook_lib.sandbox.cluster.kubeconfig import READER
from runbook_lib.sandbox.cluster.status import ApiError
from runbook_lib.sandbox.cluster.store import Object, Store

# The same as the safe one, in C where it is there: a snapshot may be large.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SUFFIXES = (".json", ".yaml", ".yml")
GRANTS: dict[str, list[Object]] = {
    READER: [{"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["*"]}],
}
BEFORE = ("CustomResourceDefinition", "Namespace")
"""What the rest needs: a definition names its kind's plural."""


def fill(folder: Path, store: Store, registry: Registry) -> dict[str, int]:
    """Loads every object of the folder; how many there are of each kind.

    Raises:
        UsageError: a file that cannot be read, or holds something that is no object, with its name; an object twice.
    """
    objects = sorted(_objects(folder), key=lambda found: found[1].get("kind") not in BEFORE)
    counts: dict[str, int] = {}
    for path, item in objects:
        of = _kind(path, item, registry)
        _complete(of, item)
        try:
            store.create(of, item)
        except ApiError as error:
            raise UsageError(f"{path}: {error}") from error
        counts[of.kind] = counts.get(of.kind, 0) + 1
    _namespaces(store, registry)
    return counts


def _objects(folder: Path) -> Iterator[tuple[Path, Object]]:
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one with what `kubectl get -o json` printed")
    files = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES and p.is_file())
    if not files:
        raise UsageError(f"{folder} holds no *.json and no *.yaml")
    for path in files:
        for document in _documents(path):
            yield from ((path, item) for item in _unpacked(path, document))


def _documents(path: Path) -> list[Any]:
    try:
        text = path.read_text("utf-8")
        return [json.loads(text)] if path.suffix == ".json" else list(yaml.load_all(text, Loader=LOADER))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from error


def _unpacked(path: Path, document: Any) -> Iterator[Object]:
    """The objects of a List, each with its kind; a single one as it is."""
    if document is None:
        return
    if not isinstance(document, dict) or not isinstance(document.get("kind"), str):
        raise UsageError(f"{path} holds no Kubernetes object: it has no kind")
    if not document["kind"].endswith("List") or "items" not in document:
        yield document
        return
    kind_of_items = document["kind"].removesuffix("List")
    for item in document["items"] or []:
        if not isinstance(item, dict):
            raise UsageError(f"{path} holds a list with something that is no object")
        if kind_of_items:
            item.setdefault("kind", kind_of_items)
            item.setdefault("apiVersion", document.get("apiVersion", "v1"))
        yield from _unpacked(path, item)


def _kind(path: Path, item: Object, registry: Registry) -> Kind:
    metadata = item.get("metadata")
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise UsageError(f"{path}: a {item['kind']} without a name")
    if item["kind"] == "CustomResourceDefinition":
        _define(item, registry)
    version, name = str(item.get("apiVersion", "v1")), item["kind"]
    known = registry.named(version, name)
    return known or registry.guess(version, name, namespaced="namespace" in metadata)


def _define(definition: Object, registry: Registry) -> None:
    spec = definition.get("spec") or {}
    names = spec.get("names") or {}
    for version in spec.get("versions") or []:
        made = Kind(
            group=str(spec.get("group", "")),
            version=str(version.get("name", "")),
            kind=str(names.get("kind", "")),
            plural=str(names.get("plural", "")),
            namespaced=spec.get("scope") != "Cluster",
            short=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=("status",),
        )
        if registry.named(made.api_version, made.kind) is None:
            registry.add(made)


def _complete(of: Kind, item: Object) -> None:
    """What the server would have had, where it was left out: clients refuse incomplete objects."""
    if of.namespaced:
        item["metadata"].setdefault("namespace", "default")
    defaults.fill(of.kind, item)
    if of.kind != "Pod":
        return
    images = {c.get("name"): c.get("image", "") for c in item["spec"].get("containers") or []}
    for name in ("containerStatuses", "initContainerStatuses"):
        for container in item["status"].get(name) or []:
            container.setdefault("image", images.get(container.get("name"), ""))
            container.setdefault("imageID", "")
            container.setdefault("ready", False)
            container.setdefault("restartCount", 0)


def busiest(store: Store) -> str:
    """The namespace with the most pods: where one looks first."""
    counted = Counter(key[0] for key, _ in store.entries(kind("pods")))
    return max(sorted(counted), key=lambda name: counted[name], default="default")


def _namespaces(store: Store, registry: Registry) -> None:
    """Every namespace that something is in, and those that no cluster is without."""
    namespaces = kind("namespaces")
    wanted = {"default", "kube-system"}
    for of in registry.all():
        wanted |= {key[0] for key, _ in store.entries(of) if key[0]}
    for name in sorted(wanted):
        if store.find(namespaces, ("", name)) is None:
            item: Object = {"metadata": {"name": name}}
            defaults.fill("Namespace", item)
            store.create(namespaces, item)
