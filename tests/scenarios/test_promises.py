"""What the notebooks promise, on a real database: nothing changes unapproved, no secret leaks, every run ends."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import yaml
from nbclient import NotebookClient

from runbook_lib import sandbox
from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import Archive
from runbook_lib.rejudge import rejudge
from runbook_lib.sandbox import Status

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parents[2]


def run(name: str, profile: Path, archive: Path, *words: str, incident: str = "") -> dict[str, Any]:
    """`runbook run NAME --json`; asserts that it ran to its end."""
    options = ["--profile", str(profile), "--archive", str(archive), "--json"]
    options += ["--incident", incident] if incident else []
    done = subprocess.run(
        [sys.executable, "-m", "runbook_lib", "run", name, *options, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    findings: dict[str, Any] = json.loads(done.stdout)
    return findings


def statements(status: Status, role: str) -> list[str]:
    """What the server's own log says that this role ran."""
    log = (status.state / "logs" / "postgres.log").read_text("utf-8", "replace").replace("\n\t", " ")
    return [line for line in log.splitlines() if f"user={role} " in line and "statement:" in line]


@pytest.fixture
def broken(shop: Status) -> Iterator[Status]:
    """The shop with a lock held, a queue behind it, and somebody who has just noticed."""
    sandbox.break_fault(shop.state, "lock_held", seed=3)
    time.sleep(4)
    yield shop
    sandbox.heal(shop.state)


def test_without_approval_nothing_changes(broken: Status, tmp_path: Path) -> None:
    """A batch run without --approve proposes and stops: the actor never logs in, the reader never writes."""
    before = {role: len(statements(broken, role)) for role in ("runbook_actor", "runbook_reader")}
    found = run("database_locks", broken.profile, tmp_path)
    assert found["verdict"]["cause"] == "lock_held"
    assert [plan["kind"] for plan in found["plans"]] == ["postgres.terminate"]
    assert len(statements(broken, "runbook_actor")) == before["runbook_actor"]
    read = " ".join(statements(broken, "runbook_reader")[before["runbook_reader"] :]).lower()
    assert "pg_blocking_pids" in read
    assert not re.search(r"pg_terminate_backend\(|pg_cancel_backend\(|create index|drop |alter ", read)
    kinds = [e.kind for e in timeline.read(Archive.at(tmp_path).incident(found["run"]["incident"]))]
    assert "plan_proposed" in kinds
    assert not {"approved", "applied", "verified"} & set(kinds)


def test_an_unapproved_plan_is_refused(broken: Status, tmp_path: Path) -> None:
    """`runbook apply` of a plan that nobody approved changes nothing and exits with 3."""
    found = run("database_locks", broken.profile, tmp_path)
    incident, plan = found["run"]["incident"], found["plans"][0]["id"]
    command = [sys.executable, "-m", "runbook_lib", "apply", incident, plan, "--archive", str(tmp_path)]
    done = subprocess.run(
        [*command, "--profile", str(broken.profile)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "approve" in done.stderr


def test_an_approved_plan_that_fits_no_longer_is_said(broken: Status, tmp_path: Path) -> None:
    """Named with --approve after the trouble has gone: nothing is changed, and the exit status is 3, not 0."""
    found = run("database_locks", broken.profile, tmp_path)
    incident, plan = found["run"]["incident"], found["plans"][0]["id"]
    sandbox.heal(broken.state)
    before = len(statements(broken, "runbook_actor"))
    words = ["run", "database_locks", "--incident", incident, "--approve", plan, "--archive", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "runbook_lib", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"plan {plan} was not carried out" in " ".join(done.stdout.split())
    assert len(statements(broken, "runbook_actor")) == before


def test_copies_in_the_lab_know_their_incident(broken: Status, tmp_path: Path) -> None:
    """A notebook of `runbook lab INC` belongs to INC and asks its systems, as it is."""
    found = run("database_locks", broken.profile, tmp_path / "archive")
    incident = Archive.at(tmp_path / "archive").incident(found["run"]["incident"])
    quiet = tmp_path / "bin" / "python"
    quiet.parent.mkdir()
    quiet.symlink_to(sys.executable)
    (quiet.parent / "jupyter").write_text("#!/bin/sh\nexit 0\n")
    (quiet.parent / "jupyter").chmod(0o755)
    code = f"import sys; sys.executable = {str(quiet)!r}; from runbook_lib.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "lab", incident.id, "--archive", str(tmp_path / "archive")], timeout=60, check=True
    )
    copy = nbformat.read(incident.path / "lab" / "database_locks.ipynb", 4)
    NotebookClient(copy, timeout=120, kernel_name="python3").execute()
    assert [i.id for i in Archive.at(tmp_path / "archive").incidents()] == [incident.id]
    assert [manifest.state_of(r) for r in incident.runs()] == ["completed", "closed"]


def test_a_failed_run_of_papermill_is_closed_not_killed(shop: Status, tmp_path: Path) -> None:
    """Under the engine a cell that fails ends the run; the kernel still seals what it holds."""
    notebook = nbformat.read(ROOT / "notebooks" / "triage.ipynb", 4)
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0", id="fails"))
    nbformat.write(notebook, tmp_path / "failing.ipynb")
    given = {"profile": str(shop.profile), "archive": str(tmp_path / "archive")}
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        papermill.execute_notebook(
            tmp_path / "failing.ipynb", tmp_path / "out.ipynb", given, engine_name="runbook", progress_bar=False
        )
    (incident,) = Archive.at(tmp_path / "archive").incidents()
    (run_folder,) = incident.runs()
    assert manifest.state_of(run_folder) == "closed"
    assert manifest.verify(run_folder) == []


def test_no_secret_in_any_file(broken: Status, tmp_path: Path) -> None:
    """The profile's passwords, and one that a cell prints, are in no file of the archive nor in a saved notebook."""
    secrets = [p.read_text() for p in (broken.state / "secrets").iterdir()]
    reader = (broken.state / "secrets" / "runbook_reader").read_text()
    notebook = nbformat.read(ROOT / "notebooks" / "database_locks.ipynb", 4)
    leak = "from pathlib import Path\n"
    leak += f"password = Path({str(broken.state / 'secrets' / 'runbook_reader')!r}).read_text()\n"
    leak += "print(password[:7], end='', flush=True)\nprint(password[7:])\n"
    leak += "print('dsn postgres://u:%s@h' % password)\npassword"
    notebook.cells.append(nbformat.v4.new_code_cell(leak, id="leak"))
    path = tmp_path / "leaking.ipynb"
    nbformat.write(notebook, path)
    run(str(path), broken.profile, tmp_path / "archive")
    saved = by_hand(notebook, broken, tmp_path / "archive")
    files = [p for p in (tmp_path / "archive").rglob("*") if p.is_file()]
    assert len(files) > 8
    texts = {str(p): p.read_text("utf-8", "replace") for p in files} | {"saved by JupyterLab": saved}
    for name, text in texts.items():
        assert not [s for s in secrets if s in text], name
    assert reader not in saved
    assert "[redacted]" in saved


def by_hand(notebook: Any, status: Status, archive: Path) -> str:
    """The notebook as JupyterLab saves it: a stock kernel, no runner, no engine."""
    notebook = nbformat.reads(nbformat.writes(notebook), 4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    cell.source += f"\nprofile = {str(status.profile)!r}\narchive = {str(archive)!r}"
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return nbformat.writes(notebook)


PRESS = """
import ipywidgets
from ipywidgets.widgets.widget import _instances
texts = [w for w in _instances.values() if isinstance(w, ipywidgets.Text)]
buttons = [w for w in _instances.values() if isinstance(w, ipywidgets.Button)]
buttons[0].click()
assert run.afterwards == []
texts[0].value = "shop_db"
buttons[0].click()
"""


def test_the_button_in_jupyterlab(broken: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the target's name it does nothing; with it the plan is approved, applied, and shown to have helped."""
    monkeypatch.setenv("RUNBOOK_KEY", str(tmp_path / "key"))
    notebook = nbformat.read(ROOT / "notebooks" / "database_locks.ipynb", 4)
    mitigate = next(c for c in notebook.cells if c.id == "mitigate")
    mitigate.source = "run.propose(hold_seconds=5)"
    notebook.cells.append(nbformat.v4.new_code_cell(PRESS, id="press"))
    by_hand(notebook, broken, tmp_path / "archive")
    (incident,) = Archive.at(tmp_path / "archive").incidents()
    events = {e.kind: e for e in timeline.read(incident)}
    assert events["verified"].data["verdict"] == "helped"
    assert incident.runs()[0].findings()["afterwards"]
    assert events["applied"].data["by"] == "runbook_actor"
    assert [e.kind for e in timeline.read(incident)].count("approved") == 1
    (run_folder,) = incident.runs()
    assert manifest.state_of(run_folder) == "closed"
    assert manifest.verify(run_folder) == []


def test_plain_papermill_runs_the_same_file(shop: Status, tmp_path: Path) -> None:
    """`papermill notebooks/triage.ipynb out.ipynb -f parameters/triage.yaml` works as it is, and leaves evidence."""
    given = {**yaml.safe_load((ROOT / "parameters" / "triage.yaml").read_text()), "profile": str(shop.profile)}
    given["archive"] = str(tmp_path / "archive")
    papermill.execute_notebook(
        str(ROOT / "notebooks" / "triage.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters=given,
        progress_bar=False,
        log_output=False,
    )
    (incident,) = Archive.at(tmp_path / "archive").incidents()
    findings = incident.runs()[0].findings()
    assert findings["verdict"]["cause"] == "healthy"
    assert not [f for f in findings["findings"] if f["status"] in ("warn", "critical")]


def test_judging_again_says_the_same(broken: Status, tmp_path: Path) -> None:
    """Archived evidence under the same checks gives the same findings and the same first hypothesis."""
    found = run("triage", broken.profile, tmp_path)
    again = rejudge(Archive.at(tmp_path).incident(found["run"]["incident"]).runs()[0])
    assert again.changed == ()
    assert again.record()["verdict"] == found["verdict"]


def variant(status: Status, tmp_path: Path, **settings: object) -> Path:
    """The shop's profile with some settings of its database changed."""
    sources = yaml.safe_load((status.state / "sources.yaml").read_text())
    sources["sources"]["shop_db"] |= settings
    changed = tmp_path / "sources.yaml"
    changed.write_text(yaml.safe_dump(sources))
    path = tmp_path / "variant.yaml"
    path.write_text(f"extends: sandbox\nsources_from: {changed}\n")
    return path


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of a listener whose backlog is full: whoever connects hears nothing at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        yield port
        for filler in fillers:
            filler.close()


def test_a_silent_database(shop: Status, tmp_path: Path, black_hole: int) -> None:
    """Black-holed: the run ends, says so, and every question but reachability is unknown with the reason."""
    found = run("triage", variant(shop, tmp_path, port=black_hole), tmp_path / "archive", "-p", "deadline_seconds=3")
    unknown_but_reachability(found, "timed_out")
    assert found["verdict"]["cause"] == "database_unreachable"
    assert len(found["unanswered"]) >= 10


def test_a_refusing_database(shop: Status, tmp_path: Path) -> None:
    """Nothing listens: the database is down, escalate, and no plan."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = run("triage", variant(shop, tmp_path, port=free.getsockname()[1]), tmp_path / "archive")
    unknown_but_reachability(found, "refused")
    assert found["verdict"]["cause"] == "database_down"
    assert found["plans"] == []


def test_a_wrong_password(shop: Status, tmp_path: Path) -> None:
    """Our login fails: that is all that is known of the database, and the verdict says so."""
    wrong = tmp_path / "wrong"
    wrong.write_text("certainly-not-it")
    login = {"user": "runbook_reader", "password": f"file:{wrong}"}
    found = run("triage", variant(shop, tmp_path, reader=login), tmp_path / "archive")
    unknown_but_reachability(found, "auth")
    assert found["verdict"]["cause"] == "login_refused"
    assert found["verdict"]["confidence"] != "confident"


def test_tls_that_is_not_offered(shop: Status, tmp_path: Path) -> None:
    """We insist on TLS, the server has none: told apart from a wrong password and from a dead server."""
    found = run("triage", variant(shop, tmp_path, sslmode="require"), tmp_path / "archive")
    unknown_but_reachability(found, "tls")


def unknown_but_reachability(found: dict[str, Any], outcome: str) -> None:
    asked = [f for f in found["findings"] if f["source"] == "shop_db"]
    assert {f["outcome"] for f in asked} == {outcome}
    assert {f["status"] for f in asked if f["check"] != "postgres.reachability"} == {"unknown"}
    assert found["run"]["state"] == "completed"


def test_another_database_than_the_incidents(shop: Status, tmp_path: Path) -> None:
    """An incident stays on its systems: a profile that leads to another database stops the run."""
    found = run("triage", shop.profile, tmp_path / "archive")
    incident = found["run"]["incident"]
    other = variant(shop, tmp_path, database="postgres")
    command = [sys.executable, "-m", "runbook_lib", "run", "triage", "--incident", incident, "--profile", str(other)]
    env = {**os.environ, "RUNBOOK_ARCHIVE": str(tmp_path / "archive")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "wrong profile, or wrong incident" in done.stdout + done.stderr
