"""Every drill from fault to post-mortem, on real servers, graded against the truth."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import Archive
from runbook_lib.drills import scenario

DRILLS = scenario.names()


@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The table of `runbook drill --json` over all drills, by drill; SEED chooses what is broken where."""
    archive = tmp_path_factory.mktemp("archive")
    command = [sys.executable, "-m", "runbook_lib", "drill", "--json", "--jobs", "1", "--archive", str(archive)]
    seed = os.environ.get("SEED")
    done = subprocess.run(
        [*command, *(["--seed", seed] if seed else [])], capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.stdout, done.stderr
    table = json.loads(done.stdout)
    return {grade["drill"]: {**grade, "seed": table["seed"]} for grade in table["drills"]}


@pytest.mark.timeout(1600)
@pytest.mark.parametrize("name", DRILLS)
def test_finds_the_cause_and_mends_it(name: str, drilled: dict[str, dict[str, Any]]) -> None:
    """The baseline is clean, cause and subject are right and first, the fitting plan helps or escalation is advised."""
    grade = drilled[name]
    assert grade["passed"], f"seed {grade['seed']}: {grade['why']}"


@pytest.mark.parametrize("name", DRILLS)
def test_leaves_whole_evidence(name: str, drilled: dict[str, dict[str, Any]]) -> None:
    """Every run of a drill is sealed as completed, the timeline's chain holds, and the post-mortem is there."""
    path = Path(drilled[name]["evidence"])
    incident = Archive.at(path.parent).incident(path.name, must_exist=True)
    assert timeline.verify(incident) == []
    for run in incident.runs():
        assert manifest.state_of(run) == "completed"
        assert manifest.verify(run) == []
        assert (run.path / "report.html").stat().st_size > 1000
    assert Path(drilled[name]["post_mortem"]).is_file()


@pytest.mark.parametrize("name", DRILLS)
def test_tells_the_story_by_itself(name: str, drilled: dict[str, dict[str, Any]]) -> None:
    """The tools write the timeline: declared, runs, verdict, and where there is a plan: proposed, approved, applied."""
    path = Path(drilled[name]["evidence"])
    kinds = [e.kind for e in timeline.read(Archive.at(path.parent).incident(path.name))]
    wanted = ["declared", "run_started", "verdict", "run_ended", "resolved"]
    if scenario.load(name).mitigation.startswith("postgres."):
        wanted += ["finding", "plan_proposed", "approved", "applied", "verified"]
    assert set(wanted) <= set(kinds)
    assert kinds.index("declared") == 0
    assert kinds[-1] == "resolved"
