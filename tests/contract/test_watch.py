"""Watches: the same of our API and of a real one."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Object = dict[str, Any]
Make = Callable[..., Object]


@contextmanager
def watching(api, path: str, **query: str) -> Iterator[Iterator[Object]]:
    with api.client.stream("GET", path, params={"watch": "true", "timeoutSeconds": "20", **query}) as answer:
        assert answer.status_code == 200
        yield (json.loads(line) for line in answer.iter_lines() if line)


def test_changes_come_as_they_happen(api, namespace: str, configmap: Make) -> None:
    """Added, modified, deleted, from the version of a list on, each once and in order."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = api.call("GET", path)["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"

    def change() -> None:
        configmap("one", {"a": "1"})
        api.call("PATCH", f"{path}/one", {"data": {"a": "2"}}, type=merge)
        api.call("DELETE", f"{path}/one")

    with watching(api, path, resourceVersion=version, fieldSelector="metadata.name=one") as events:
        threading.Thread(target=change).start()
        seen = [next(events) for _ in range(3)]
    assert [e["type"] for e in seen] == ["ADDED", "MODIFIED", "DELETED"]
    assert [e["object"]["data"] for e in seen] == [{"a": "1"}, {"a": "2"}, {"a": "2"}]
    assert seen[0]["object"]["kind"] == "ConfigMap"
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen]
    assert versions == sorted(set(versions))


def test_without_a_version_what_is_there_comes_first(api, namespace: str, configmap: Make) -> None:
    """As ADDED, then what happens."""
    configmap("one")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with watching(api, path, labelSelector="!none", fieldSelector="metadata.name=one") as events:
        first = next(events)
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "one")


def test_an_object_that_leaves_the_selection_was_deleted_from_it(api, namespace: str, configmap: Make) -> None:
    """And one that comes into it was added."""
    configmap("one", color="red")
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = api.call("GET", path)["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"

    def change() -> None:
        for color in ("blue", "red"):
            api.call("PATCH", f"{path}/one", {"metadata": {"labels": {"color": color}}}, type=merge)

    with watching(api, path, resourceVersion=version, labelSelector="color=red") as events:
        threading.Thread(target=change).start()
        assert [next(events)["type"] for _ in range(2)] == ["DELETED", "ADDED"]


def test_a_version_that_is_forgotten_is_gone(api, namespace: str) -> None:
    """410 Expired, as an answer or as the watch's first event."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    answer = api.client.get(path, params={"watch": "true", "resourceVersion": "1", "timeoutSeconds": "5"})
    body = answer.json() if answer.status_code != 200 else json.loads(answer.text.splitlines()[0])["object"]
    assert (body["code"], body["reason"]) == (410, "Expired")


def test_a_watch_ends_when_its_time_is_over(api, namespace: str) -> None:
    """Without an error."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    with watching(api, path, timeoutSeconds="1", fieldSelector="metadata.name=none") as events:
        assert [e for e in events if e["type"] != "BOOKMARK"] == []
