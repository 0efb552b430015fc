"""What `runbook archive verify` notices, of an incident with a run and a plan that was applied."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import Archive, IncidentFolder
from runbook_lib.incidents import life

Tamper = Callable[[Path], object]


@pytest.fixture
def incident(tmp_path: Path) -> IncidentFolder:
    folder = life.declare(Archive.at(tmp_path), "a test", profile="sandbox", incident="inc-1")
    run = folder.new_run("triage")
    timeline.append(folder, "run_started", "triage started", data={"run": run.id})
    (run.path / "report.html").write_text("<html></html>")
    nothing = {"reason": "", "profile": "", "parameters": {}, "cells": ()}
    when = {"started": "2026-11-21T03:00:00+00:00", "ended": "2026-11-21T03:01:00+00:00"}
    digest = manifest.seal(run, state="completed", notebook="triage", incident=folder.id, **nothing, **when)
    timeline.append(folder, "run_ended", "triage completed", data={"run": run.id, "manifest": digest})
    return folder


def verify(incident: IncidentFolder) -> dict[str, object]:
    words = ["archive", "verify", incident.id, "--archive", str(incident.path.parent), "--json"]
    done = subprocess.run([sys.executable, "-m", "runbook_lib", *words], capture_output=True, text=True, check=False)
    told: dict[str, object] = json.loads(done.stdout)
    assert done.returncode == (0 if told["whole"] else 1), done.stderr
    return told


def _first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


TAMPERED: dict[str, Tamper] = {
    "is gone, though the timeline tells of it": lambda p: shutil.rmtree(_first(p, "runs/*")),
    "an event was taken away": lambda p: max(p.glob("timeline/*.json")).unlink(),
    "report.html was changed after": lambda p: _first(p, "runs/*/report.html").write_text("another"),
    "manifest.json was changed after": lambda p: _first(p, "runs/*/manifest.json").write_text(
        _first(p, "runs/*/manifest.json").read_text().replace("completed", "failed")
    ),
    "manifest.json is no manifest": lambda p: _first(p, "runs/*/manifest.json").write_text('{"files": 3}'),
    "cannot be read as JSON": lambda p: _first(p, "runs/*/manifest.json").write_text("{"),
    "is no event": lambda p: _first(p, "timeline/*.json").write_text("{"),
}


def test_an_incident_as_it_was_written(incident: IncidentFolder) -> None:
    """Is whole."""
    assert verify(incident) == {"incident": "inc-1", "whole": True, "wrong": []}


@pytest.mark.parametrize("said", TAMPERED)
def test_what_was_tampered_with_is_named(incident: IncidentFolder, said: str) -> None:
    """By what it is, without stopping at it; and the incident can still be listed."""
    TAMPERED[said](incident.path)
    told = verify(incident)
    assert any(said in str(sentence) for sentence in told["wrong"]), told["wrong"]  # type: ignore[attr-defined]
    words = ["incident", "list", "--archive", str(incident.path.parent)]
    assert (
        subprocess.run([sys.executable, "-m", "runbook_lib", *words], capture_output=True, check=False).returncode == 0
    )
