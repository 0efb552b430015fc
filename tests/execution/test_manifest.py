"""The seal of a run notices what was done to it afterwards."""

import os

import psutil
import pytest

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import read_json, write_json


@pytest.fixture
def sealed(incident):
    run = incident.new_run("fine")
    manifest.lock(run, notebook="fine")
    (run.path / "notebook.ipynb").write_text("{}")
    (run.path / "charts").mkdir()
    (run.path / "charts" / "one.svg").write_text("<svg/>")
    values = {"notebook": "fine", "incident": incident.id, "profile": "sandbox", "reason": "", "parameters": {}}
    times = {"started": "2026-11-21T04:00:00+00:00", "ended": "2026-11-21T04:00:01+00:00"}
    digest = manifest.seal(
        run, state="completed", cells=[{"id": "a", "state": "ok", "seconds": 1.0}], **values, **times
    )
    timeline.append(incident, "run_ended", "fine completed", data={"run": run.id, "manifest": digest})
    return run


def test_a_sealed_run_holds(sealed):
    """State, cells, versions and every file are in the manifest, and the lock is gone."""
    record = read_json(sealed.path / "manifest.json")
    assert manifest.verify(sealed) == []
    assert manifest.state_of(sealed) == "completed"
    assert sorted(record["files"]) == ["charts/one.svg", "notebook.ipynb"]
    assert record["files"]["notebook.ipynb"]["size"] == 2
    assert record["versions"].keys() == {"python", "runbook-lib", "papermill", "nbclient", "ipykernel"}
    assert not (sealed.path / "lock.json").exists()


def test_a_changed_a_missing_and_an_added_file_are_noticed(sealed):
    """One sentence each; a change that keeps the size is one too."""
    (sealed.path / "notebook.ipynb").write_text("[]")
    (sealed.path / "charts" / "one.svg").unlink()
    (sealed.path / "charts" / "two.svg").write_text("<svg/>")
    assert manifest.verify(sealed) == [
        f"{sealed.id}: charts/one.svg is missing",
        f"{sealed.id}: charts/two.svg was added after the run was sealed",
        f"{sealed.id}: notebook.ipynb was changed after the run was sealed",
    ]


def test_a_changed_manifest_is_noticed(sealed):
    """The timeline remembers its hash, so that a file and its line in the manifest cannot be changed together."""
    path = sealed.path / "manifest.json"
    path.write_text(path.read_text().replace("completed", "failed"))
    assert manifest.verify(sealed) == [f"{sealed.id}: manifest.json was changed after the timeline took note of it"]


def test_a_run_is_sealed_once(sealed):
    """The second seal is refused, not written over the first."""
    with pytest.raises(FileExistsError):
        manifest.seal(
            sealed,
            state="failed",
            cells=[],
            notebook="",
            incident="",
            profile="",
            reason="",
            started="",
            ended="",
            parameters={},
        )


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "running"),
        ({"boot": "another"}, "killed"),
        ({"process_started": 1.0}, "killed"),
        ({"pid": 2**22 + 1}, "killed"),
        ({"host": "another"}, "running"),
    ],
)
def test_the_lock_tells_a_living_writer_from_a_dead_one(incident, change, state):
    """A pid that was given to another process, or a boot since, is no living writer; another machine may be."""
    run = incident.new_run("fine")
    manifest.lock(run, notebook="fine")
    lock = read_json(run.path / "lock.json")
    assert (lock["pid"], lock["process_started"]) == (os.getpid(), psutil.Process().create_time())
    write_json(run.path / "lock.json", {**lock, **change})
    assert manifest.state_of(run) == state


def test_a_folder_without_lock_and_seal_was_killed(incident):
    """Nobody writes it, and nobody finished it."""
    assert manifest.state_of(incident.new_run("fine")) == "killed"
