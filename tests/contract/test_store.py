"""Reading and writing: the same of our API and of a real one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Object = dict[str, Any]
Make = Callable[..., Object]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def at(namespace: str, name: str = "", group: str = "api/v1", plural: str = "configmaps") -> str:
    return f"/{group}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def test_what_is_created_can_be_read(api, namespace: str, configmap: Make) -> None:
    """With uid, version and time, under its kind; in a list without the kind, as lists are."""
    made = configmap("one", {"a": "1"})
    assert (made["kind"], made["apiVersion"], made["data"]) == ("ConfigMap", "v1", {"a": "1"})
    assert {"uid", "resourceVersion", "creationTimestamp", "namespace"} <= made["metadata"].keys()
    assert api.call("GET", at(namespace, "one")) == made
    listed = api.call("GET", at(namespace), labelSelector="!kubernetes.io/none", fieldSelector="metadata.name=one")
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert "kind" not in listed["items"][0]
    assert listed["items"][0]["data"] == {"a": "1"}


def test_errors_are_told_as_status(api, namespace: str, configmap: Make) -> None:
    """404, 409, 422 and 400 with reason, details and causes that clients read."""
    missing = api.call("GET", at(namespace, "none"), code=404)
    assert (missing["kind"], missing["reason"], missing["code"]) == ("Status", "NotFound", 404)
    assert missing["message"] == 'configmaps "none" not found'
    assert missing["details"] == {"name": "none", "kind": "configmaps"}
    configmap("one")
    twice = api.call("POST", at(namespace), {"metadata": {"name": "one"}}, 409)
    assert (twice["reason"], twice["message"]) == ("AlreadyExists", 'configmaps "one" already exists')
    invalid = api.call("POST", at(namespace), {"metadata": {"name": "Not_Valid"}}, 422)
    assert invalid["reason"] == "Invalid"
    assert invalid["details"]["causes"][0]["field"] == "metadata.name"
    assert api.call("GET", "/apis/nothing/v1", code=404)["reason"] == "NotFound"
    wrong = api.call("POST", at(namespace), {"metadata": {"name": "two"}, "data": ["a"]}, 400)
    assert wrong["reason"] == "BadRequest"
    strict = {"metadata": {"name": "two"}, "dat": {}}
    assert 'unknown field "dat"' in api.call("POST", at(namespace), strict, 400, fieldValidation="Strict")["message"]


def test_an_update_of_an_old_version_is_a_conflict(api, namespace: str, configmap: Make) -> None:
    """409, and the message that clients retry on; without a version it is taken."""
    first = configmap("one", {"a": "1"})
    second = api.call("PUT", at(namespace, "one"), {**first, "data": {"a": "2"}})
    assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    conflict = api.call("PUT", at(namespace, "one"), {**first, "data": {"a": "3"}}, 409)
    assert conflict["reason"] == "Conflict"
    assert conflict["message"].startswith(
        'Operation cannot be fulfilled on configmaps "one": the object has been modif'
    )
    unversioned = {"metadata": {"name": "one"}, "data": {"a": "4"}}
    assert api.call("PUT", at(namespace, "one"), unversioned)["data"] == {"a": "4"}
    same = api.call("PUT", at(namespace, "one"), unversioned)
    again = api.call("PUT", at(namespace, "one"), unversioned)
    assert same["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


@pytest.mark.parametrize("where", ["query", "body"])
def test_a_dry_run_writes_nothing(api, namespace: str, configmap: Make, where: str) -> None:
    """Neither creates, nor patches, nor deletes; for a delete it may stand in the body."""
    made = configmap("one", {"a": "1"})
    api.call("POST", at(namespace), {"metadata": {"name": "two"}}, 201, dryRun="All")
    api.call("GET", at(namespace, "two"), code=404)
    merge = "application/merge-patch+json"
    shown = api.call("PATCH", at(namespace, "one"), {"data": {"a": "2"}}, type=merge, dryRun="All")
    assert shown["data"] == {"a": "2"}
    if where == "query":
        api.call("DELETE", at(namespace, "one"), dryRun="All")
    else:
        api.call("DELETE", at(namespace, "one"), {"dryRun": ["All"]})
    assert api.call("GET", at(namespace, "one")) == made


def test_selectors_choose(api, namespace: str, configmap: Make) -> None:
    """By equality, by set, by absence; by name; an unknown field is 400."""
    configmap("one", tier="web", app="shop")
    configmap("two", tier="back", app="shop")
    configmap("three")

    def names(**query: str) -> list[str]:
        found = [i["metadata"]["name"] for i in api.call("GET", at(namespace), **query)["items"]]
        return [name for name in found if name != "kube-root-ca.crt"]

    assert names(labelSelector="app=shop") == ["one", "two"]
    assert names(labelSelector="app=shop,tier!=web") == ["two"]
    assert names(labelSelector="tier in (web, back)") == ["one", "two"]
    assert names(labelSelector="!app") == ["three"]
    assert names(labelSelector="tier notin (web)") == ["three", "two"]
    assert names(fieldSelector="metadata.name=two") == ["two"]
    assert api.call("GET", at(namespace), code=400, fieldSelector="data.a=1")["reason"] == "BadRequest"
    assert api.call("GET", at(namespace), code=400, labelSelector="a in")["reason"] == "BadRequest"


def test_a_list_comes_in_pages(api, namespace: str, configmap: Make) -> None:
    """All of it, each once, as of one moment, however small the pages; a token that is none is 410 or 400."""
    for n in range(7):
        configmap(f"item-{n}", page="yes")
    query = {"labelSelector": "page=yes", "limit": "3"}
    first = api.call("GET", at(namespace), **query)
    assert first["metadata"]["remainingItemCount"] == 4 if "remainingItemCount" in first["metadata"] else True
    configmap("item-late", page="yes")
    found, token, versions = [*first["items"]], first["metadata"]["continue"], set()
    while token:
        page = api.call("GET", at(namespace), **query, **{"continue": token})
        found += page["items"]
        versions.add(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue", "")
    assert [i["metadata"]["name"] for i in found] == [f"item-{n}" for n in range(7)]
    assert versions == {first["metadata"]["resourceVersion"]}
    answer = api.client.get(at(namespace), params={"limit": "3", "continue": "nonsense"})
    assert answer.status_code in {400, 410}


def test_a_table_has_the_columns_of_kubectl(api, namespace: str, configmap: Make) -> None:
    """Names, types and priorities of the columns, cells, and the metadata of each object."""
    configmap("one", {"a": "1", "b": "2"})
    table = api.call("GET", at(namespace), headers={"accept": TABLE}, fieldSelector="metadata.name=one")
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]]
    assert columns == [("Name", "string", 0), ("Data", "integer", 0), ("Age", "string", 0)]
    (row,) = table["rows"]
    assert row["cells"][:2] == ["one", 2]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == "one"


PATCHES = [
    ("application/json-patch+json", [{"op": "replace", "path": "/data/a", "value": "2"}], {"a": "2", "b": "1"}),
    ("application/merge-patch+json", {"data": {"a": "2", "b": None}}, {"a": "2"}),
    ("application/strategic-merge-patch+json", {"data": {"c": "3"}}, {"a": "1", "b": "1", "c": "3"}),
    ("application/strategic-merge-patch+json", {"data": {"$patch": "replace", "z": "9"}}, {"z": "9"}),
]


@pytest.mark.parametrize(("kind", "patch", "after"), PATCHES)
def test_patches(api, namespace: str, configmap: Make, kind: str, patch: Any, after: Object) -> None:
    """Of each type; one that does not fit is refused and changes nothing."""
    configmap("one", {"a": "1", "b": "1"})
    assert api.call("PATCH", at(namespace, "one"), patch, type=kind)["data"] == after
    missing = [{"op": "remove", "path": "/data/none"}]
    answer = api.client.patch(
        at(namespace, "one"), content=json.dumps(missing), headers={"content-type": "application/json-patch+json"}
    )
    assert answer.status_code in {400, 422}
    assert api.call("GET", at(namespace, "one"))["data"] == after
    assert api.call("PATCH", at(namespace, "one"), {}, 415, type="text/plain")["reason"] == "UnsupportedMediaType"


def test_a_strategic_patch_knows_lists_by_their_key(api, namespace: str, deployment: Object) -> None:
    """A container is the same by its name, a variable by its; what is not named stays, `$patch: delete` takes away."""
    place = at(namespace, "contract", "apis/apps/v1", "deployments")
    api.call("POST", at(namespace, "", "apis/apps/v1", "deployments"), deployment, 201)
    strategic = "application/strategic-merge-patch+json"

    def patch(container: Object) -> list[Object]:
        body = {"spec": {"template": {"spec": {"containers": [container]}}}}
        found: list[Object] = api.call("PATCH", place, body, type=strategic)["spec"]["template"]["spec"]["containers"]
        return found

    (web,) = patch({"name": "web", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    assert web["image"] == "registry.k8s.io/pause:3.9"
    (web,) = patch({"name": "web", "env": [{"name": "A", "value": "9"}]})
    assert web["env"] == [{"name": "A", "value": "9"}, {"name": "B", "value": "2"}]
    (web,) = patch({"name": "web", "env": [{"name": "A", "$patch": "delete"}]})
    assert web["env"] == [{"name": "B", "value": "2"}]
    both = patch({"name": "side", "image": "registry.k8s.io/pause:3.9"})
    assert {c["name"] for c in both} == {"web", "side"}


def test_a_deployment_is_completed_and_checked(api, namespace: str, deployment: Object) -> None:
    """Defaults are filled in, a new spec is a new generation, and what cannot be is 422 with its field."""
    collection = at(namespace, "", "apis/apps/v1", "deployments")
    made = api.call("POST", collection, deployment, 201)
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"
    assert made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    place = f"{collection}/contract"
    merge = "application/merge-patch+json"
    labelled = api.call("PATCH", place, {"metadata": {"labels": {"a": "b"}}}, type=merge)
    assert labelled["metadata"]["generation"] == 1
    assert api.call("PATCH", place, {"spec": {"minReadySeconds": 1}}, type=merge)["metadata"]["generation"] == 2
    other = {**deployment, "metadata": {"name": "other"}, "spec": {**deployment["spec"], "selector": {}}}
    assert api.call("POST", collection, other, 422)["details"]["causes"][0]["field"] == "spec.selector"
    moved = {
        "spec": {"selector": {"matchLabels": {"app": "moved"}}, "template": {"metadata": {"labels": {"app": "moved"}}}}
    }
    refused = api.call("PATCH", place, moved, 422, type=merge)
    assert "field is immutable" in refused["message"]


def test_scale_is_a_resource_of_its_own(api, namespace: str, deployment: Object) -> None:
    """Read, patched, and seen in the deployment."""
    collection = at(namespace, "", "apis/apps/v1", "deployments")
    api.call("POST", collection, deployment, 201)
    scale = api.call("GET", f"{collection}/contract/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {})
    assert scale["status"]["selector"] == "app=contract"
    merge = "application/merge-patch+json"
    assert api.call("PATCH", f"{collection}/contract/scale", {"spec": {"replicas": 3}}, type=merge)["spec"] == {
        "replicas": 3
    }
    assert api.call("GET", f"{collection}/contract")["spec"]["replicas"] == 3
    api.call("PATCH", f"{collection}/contract/scale", {"spec": {"replicas": 0}}, type=merge)


def test_a_delete_that_another_object_is_meant_by_is_refused(api, namespace: str, configmap: Make) -> None:
    """By uid: a conflict; without, it answers with a Status that names what was deleted."""
    made = configmap("one")
    wrong = {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}
    assert api.call("DELETE", at(namespace, "one"), wrong, 409)["reason"] == "Conflict"
    gone = api.call("DELETE", at(namespace, "one"), {"preconditions": {"uid": made["metadata"]["uid"]}})
    assert (gone["kind"], gone["status"], gone["details"]["uid"]) == ("Status", "Success", made["metadata"]["uid"])
    api.call("GET", at(namespace, "one"), code=404)


def test_a_finalizer_holds_an_object(api, namespace: str) -> None:
    """Deleted, it stays with a deletionTimestamp until the last finalizer is taken off."""
    body = {"metadata": {"name": "held", "finalizers": ["example.com/wait"]}}
    api.call("POST", at(namespace), body, 201)
    held = api.call("DELETE", at(namespace, "held"))
    assert held["metadata"]["deletionTimestamp"]
    api.call("PATCH", at(namespace, "held"), {"metadata": {"finalizers": None}}, type="application/merge-patch+json")
    api.call("GET", at(namespace, "held"), code=404)


def test_a_server_side_apply_creates_and_merges(api, namespace: str) -> None:
    """201 for what was not there, 200 afterwards."""
    apply = {"type": "application/apply-patch+yaml", "fieldManager": "contract"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}
    api.call("PATCH", at(namespace, "one"), body, 201, **apply)
    after = api.call("PATCH", at(namespace, "one"), {**body, "data": {"a": "1", "b": "2"}}, **apply)
    assert after["data"] == {"a": "1", "b": "2"}
