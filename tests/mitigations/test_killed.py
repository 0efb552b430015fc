"""The applying process is killed between its calls: the archive tells what was done, and undo works from it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.apply import apply
from runbook_lib.mitigations.approval import approve
from runbook_lib.mitigations.ledger import Ledger
from runbook_lib.profile import Profile
from runbook_lib.reports import post_mortem
from tests.mitigations.conftest import Connect, Propose, indexes

BUILDING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"


def runbook(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runbook_lib", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def wait(done: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
    return done()


def test_killed_while_it_builds(
    profile: Profile, incident: IncidentFolder, connect: Connect, propose: Propose, table: str
) -> None:
    """kill -9 during CREATE INDEX: undo and the step in doubt are on disk; nobody applies it again; undo cleans up."""
    look, blocker = connect("postgres", "look"), connect("shop_owner", "long transaction", autocommit=False)
    plan = propose("postgres.create_index", schema="public", table=table, columns=["customer"])
    approve(incident, plan.id)
    blocker.execute("DELETE FROM parcels WHERE id = 1")
    place = ["--archive", str(incident.path.parent), "--profile", str(profile.path)]
    applying = subprocess.Popen([sys.executable, "-m", "runbook_lib", "apply", incident.id, plan.id, *place])
    ledger = Ledger.of(incident, plan.id)
    wait(lambda: look.execute(BUILDING).fetchall() and indexes(look, table))
    alive = runbook("undo", incident.id, plan.id, *place)
    assert (alive.returncode, "is being applied now, by process" in alive.stderr) == (3, True)
    os.kill(applying.pid, signal.SIGKILL)
    applying.wait(10)
    record = ledger.read()
    assert (record["state"], [s["state"] for s in record["steps"]]) == ("applying", ["begun"])
    assert record["undo"] == list(plan.undo)
    assert record["by"] == "runbook_actor"
    with pytest.raises(PlanRefusedError, match="has not ended: 0 of 1 calls done, 1 in doubt"):
        apply(incident, profile, plan.id)
    told = post_mortem.write(incident).markdown.read_text("utf-8")
    assert "0 of 1 calls done, 1 in doubt" in told
    assert "Nothing was changed" not in told
    assert "not applied" not in told
    blocker.rollback()
    undone = runbook("undo", incident.id, plan.id, *place, "--json")
    assert undone.returncode == 0, undone.stderr
    assert json.loads(undone.stdout)["ok"]
    assert indexes(look, table) == {}
    assert look.execute(BUILDING).fetchall() == []


def test_the_command_line(incident: IncidentFolder, profile: Profile, connect: Connect, propose: Propose) -> None:
    """approve asks for the target's name, apply says one line where it refuses, --json is one object."""
    victim = connect("jobs", "nightly", autocommit=False)
    victim.execute("SELECT 1")
    start = victim.execute("SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone()
    assert start is not None
    plan = propose("postgres.terminate", sessions=[{"pid": victim.info.backend_pid, "backend_start": start[0]}])
    place = ["--archive", str(incident.path.parent)]
    wrong = runbook("approve", incident.id, plan.id, *place, "--target", "other_db")
    assert (wrong.returncode, wrong.stdout) == (3, "")
    refused = runbook("apply", incident.id, plan.id, *place, "--profile", str(profile.path), "--json")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.count("\n") == 1
    yes = runbook("approve", incident.id, plan.id, *place, "--yes", "--json")
    assert json.loads(yes.stdout)["plan"] == plan.id
    assert plan.calls[0] in yes.stderr
