"""The states that a run and its cells end in, however they end."""

import os
import signal
from pathlib import Path

import pytest

from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import read_json
from runbook_lib.errors import UsageError
from runbook_lib.execution import runner
from runbook_lib.incidents import life

STATES = {
    "fails": ("failed", ["ok", "failed", "never ran"], "ZeroDivisionError"),
    "dies": ("failed", ["ok", "failed", "never ran"], "SIGKILL"),
}


def report(run):
    (run.path / "report.html").write_text("<html></html>")


def run(book, incident, name, **options):
    return runner.run_notebook(book(name), parameters={}, incident=incident, write_report=report, **options)


def cells(saved, folder):
    return [c["metadata"]["runbook"]["state"] for c in saved(folder)["cells"] if c["cell_type"] == "code"]


@pytest.mark.parametrize("name", STATES)
def test_a_cell_that_fails_and_a_kernel_that_dies_stop_the_run(book, incident, saved, name):
    """What ran, what failed and what never ran are told apart, for papermill's readers too."""
    state, expected, reason = STATES[name]
    result = run(book, incident, name)
    assert (result.state, result.exit_status) == (state, 1)
    assert reason in result.reason
    assert cells(saved, result.folder) == expected
    assert [c["state"] for c in read_json(result.folder.path / "manifest.json")["cells"]] == expected
    notebook = saved(result.folder)
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert [c["metadata"]["papermill"]["status"] for c in code] == ["completed", "failed", "pending"]
    assert notebook["metadata"]["papermill"]["exception"] is True
    assert notebook["metadata"]["runbook"]["state"] == state
    assert code[1]["outputs"][-1]["output_type"] == "error"
    assert code[2]["outputs"] == []


@pytest.mark.parametrize(("option", "whose"), [("cell_timeout", "the cell"), ("timeout", "the run")])
def test_a_cell_or_a_run_that_takes_too_long_is_stopped(book, incident, saved, option, whose):
    """The cell that was cut off is `timed out`, with what it had said until then; later ones never ran."""
    seconds = {"cell_timeout": 1.0, "timeout": 25.0}[option]
    result = run(book, incident, "hangs", **{option: seconds})
    assert (result.state, result.exit_status) == ("timed out", 1)
    assert f"{whose} was stopped after" in result.reason
    assert cells(saved, result.folder) == ["ok", "timed out", "never ran"]
    assert "started" in str(saved(result.folder)["cells"][1]["outputs"][0]["text"])


def test_a_run_that_completes_leaves_a_sealed_folder_and_two_events(book, incident, saved):
    """Folder, parameters, timeline and manifest agree; nothing is left of the lock."""
    result = runner.run_notebook(
        book("fine"), parameters={"times": "3"}, incident=incident, write_report=report, hide_env={"HOME"}
    )
    assert (result.state, result.exit_status, result.findings) == ("completed", 0, None)
    assert cells(saved, result.folder) == ["ok"] * 4
    assert "hellohellohello" in str(saved(result.folder))
    assert sorted(p.name for p in result.folder.path.iterdir()) == ["manifest.json", "notebook.ipynb", "report.html"]
    assert read_json(result.folder.path / "manifest.json")["parameters"] == {"greeting": "hello", "times": 3}
    started, ended = timeline.read(incident)
    assert (started.kind, started.data["parameters"]) == ("run_started", {"greeting": "hello", "times": 3})
    assert (ended.kind, ended.data["state"]) == ("run_ended", "completed")
    assert manifest.verify(result.folder) == []


def test_findings_that_the_session_wrote_are_completed(book, incident):
    """The run's end is known outside of the kernel only; and the kernel knows its folder, but no hidden variable."""
    os.environ["TEST_HIDDEN_VARIABLE"] = "the actor's"
    try:
        result = run(book, incident, "findings", hide_env={"TEST_HIDDEN_VARIABLE"})
    finally:
        del os.environ["TEST_HIDDEN_VARIABLE"]
    assert result.findings is not None
    assert result.findings["run"]["state"] == "completed"
    assert result.findings["run"]["ended"]
    assert result.findings["hidden"] is None
    assert result.folder.findings() == result.findings


def test_a_report_that_cannot_be_written_leaves_the_run_sealed(book, incident):
    """The evidence outlives a fault of ours; the fault is not hidden either."""

    def broken(_run):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        runner.run_notebook(book("fails"), parameters={}, incident=incident, write_report=broken)
    assert manifest.state_of(incident.runs()[0]) == "failed"


def running_cell(archive, saved):
    """The only run's folder and notebook once a cell `hang` runs."""
    for incident in archive.incidents():
        for folder in incident.runs():
            if (folder.path / "notebook.ipynb").exists():
                notebook = saved(folder)
                states = {c["id"]: c["metadata"].get("runbook", {}).get("state") for c in notebook["cells"]}
                if states["hang"] == "running":
                    return folder, notebook
    return None


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_run_as_interrupted(runbook_run, archive, saved, until, alive, signum):
    """Also while the kernel is stuck in C code: it ends, the run is sealed, and the exit status is 130."""
    process = runbook_run("stuck")
    folder, notebook = until(lambda: running_cell(archive, saved))
    assert manifest.state_of(folder) == "running"
    process.send_signal(signum)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert manifest.state_of(folder) == "interrupted"
    assert cells(saved, folder) == ["ok", "interrupted", "never ran"]
    assert signum.name in read_json(folder.path / "manifest.json")["reason"]
    assert manifest.verify(folder) == []
    until(lambda: not alive(kernel_pid(notebook)))


def kernel_pid(notebook):
    return int("".join(notebook["cells"][0]["outputs"][0]["text"]))


def test_a_killed_runner_leaves_its_last_save_and_no_kernel(runbook_run, archive, saved, until, alive):
    """Readers see `killed` by the dead writer, the file is whole, and the kernel dies though its GIL is held."""
    process = runbook_run("stuck")
    folder, notebook = until(lambda: running_cell(archive, saved))
    process.kill()
    process.communicate(timeout=60)
    assert manifest.state_of(folder) == "killed"
    assert cells(saved, folder) == ["ok", "running", "never ran"]
    assert manifest.verify(folder) == [f"{folder.id} is not sealed: its state is killed"]
    until(lambda: not alive(kernel_pid(notebook)))


def test_six_runs_at_the_same_time_all_end_well(runbook_run, archive, book):
    """No port and no path is shared; all write to one incident."""
    life.declare(archive, "six at a time", profile="", incident="inc-six")
    processes = [runbook_run("fine", "--incident", "inc-six", "--json") for _ in range(6)]
    ended = [(p.communicate(timeout=200)[1][-300:], p.returncode) for p in processes]
    assert [(status, said) for said, status in ended if status] == []
    runs = archive.incident("inc-six").runs()
    assert [manifest.state_of(run) for run in runs] == ["completed"] * 6
    assert [w for run in runs for w in manifest.verify(run)] == []
    assert timeline.verify(archive.incident("inc-six")) == []


def test_a_kernel_that_is_not_installed_is_said_before_anything_runs(tmp_path, book, incident):
    """One line, and no run folder."""
    other = tmp_path / "other.ipynb"
    other.write_text(Path(book("fine")).read_text("utf-8").replace('"name": "python3"', '"name": "cobol"'))
    with pytest.raises(UsageError, match="wants the kernel 'cobol'"):
        runner.run_notebook(other, parameters={}, incident=incident)
    assert incident.runs() == []
