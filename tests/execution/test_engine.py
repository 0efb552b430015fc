"""`papermill --engine runbook`, without anything of ours around it."""

import json
import signal
import subprocess
import sys

import pytest

from runbook_lib.errors import ParameterError
from runbook_lib.execution.engine import RunbookEngine

SECRET = "hunter2-of-the-shop"


def papermill(source, output, *options):
    command = [sys.executable, "-m", "papermill", "--engine", "runbook", source, str(output), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def states(path):
    notebook = json.loads(path.read_text("utf-8"))
    told = [c["metadata"]["runbook"]["state"] for c in notebook["cells"] if "runbook" in c["metadata"]]
    status = [c["metadata"]["papermill"]["status"] for c in notebook["cells"] if "runbook" in c["metadata"]]
    return notebook["metadata"]["runbook"]["state"], told, status


def test_a_killed_kernel_is_told_truthfully(book, tmp_path):
    """The stock engine marks the killing cell and those that never ran as completed."""
    from papermill import PapermillExecutionError, execute_notebook

    with pytest.raises(PapermillExecutionError, match="SIGKILL"):
        execute_notebook(book("dies"), tmp_path / "out.ipynb", engine_name="runbook", progress_bar=False)
    assert states(tmp_path / "out.ipynb") == (
        "failed",
        ["ok", "failed", "never ran"],
        ["completed", "failed", "pending"],
    )


def test_what_papermill_writes_afterwards_is_redacted_too(book, tmp_path, monkeypatch):
    """What the kernel redacted stays so in the file, in papermill's log and in its own error message."""
    monkeypatch.setenv("TEST_SHOP_KEY", SECRET)
    monkeypatch.setenv("INSTALL", "1")
    process = papermill(book("leaks"), tmp_path / "out.ipynb", "--log-output", "--execution-timeout", "60")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    written = (tmp_path / "out.ipynb").read_text("utf-8")
    for text in (errors, written):
        assert "ValueError" in text
        assert "[redacted]" in text
        assert SECRET not in text


def test_a_parameter_that_looks_like_a_secret_is_refused(book, tmp_path):
    """Before anything is written."""
    from papermill import execute_notebook

    with pytest.raises(ParameterError, match="api_key looks like a secret"):
        execute_notebook(book("fine"), tmp_path / "out.ipynb", {"api_key": "abcdefgh"}, engine_name="runbook")
    assert not (tmp_path / "out.ipynb").exists()


def test_a_signal_ends_papermill_with_a_whole_file(book, tmp_path, until):
    """Interrupted is interrupted, and nothing that never ran is completed; the stock engine does not hear SIGTERM."""
    output = tmp_path / "out.ipynb"
    process = papermill(book("stuck"), output)
    until(lambda: output.exists() and states(output)[1][1] == "running")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert states(output) == (
        "interrupted",
        ["ok", "interrupted", "never ran"],
        ["completed", "failed", "pending"],
    )


def test_it_works_inside_of_a_running_loop(book):
    """As in a notebook that runs notebooks; there it hears no signals, and returns what it ran."""
    import asyncio

    from papermill.iorw import load_notebook_node

    async def inside():
        return RunbookEngine.execute_notebook(load_notebook_node(book("fine")), "python3", progress_bar=False)

    before = signal.getsignal(signal.SIGINT)
    copy = asyncio.run(inside())
    assert copy.metadata.runbook.state == "completed"
    assert signal.getsignal(signal.SIGINT) is before
