"""Kernels that are forked behave as those that are started."""

import sys

import nbformat
import psutil
import pytest

from runbook_lib.execution import runner, warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

ASKED = """
import os, random, threading, numpy
from pathlib import Path
print(os.getpid(), random.random(), numpy.random.random(), "pandas" in __import__("sys").modules, sep="|")
print(os.environ["TEST_SECRET"], Path("/proc/self/environ").read_bytes().count(b"a-secret"), os.getcwd(), sep="|")
"""


def notebook(tmp_path, *sources):
    """A notebook of these cells."""
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{n}") for n, source in enumerate(sources)]
    path = tmp_path / "asked.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def report(run):
    (run.path / "report.html").write_text("<html></html>")


def play(path, incident, **options):
    return runner.run_notebook(path, parameters={}, incident=incident, write_report=report, **options)


def words(saved, folder, cell=0):
    return "".join(saved(folder)["cells"][cell]["outputs"][0]["text"]).split()


def test_two_forked_kernels_share_nothing_that_matters(tmp_path, incident, saved, monkeypatch):
    """Libraries are there already; chance differs; a secret of the environment arrives, but stands in no /proc file."""
    monkeypatch.setenv("TEST_SECRET", "a-secret")
    path = notebook(tmp_path, ASKED)
    with warm.kernels():
        folders = [play(path, incident).folder for _ in range(2)]
    (one, place), (two, _) = (words(saved, folder) for folder in folders)
    assert [len({a, b}) for a, b in zip(one.split("|"), two.split("|"), strict=True)] == [2, 2, 2, 1]
    assert one.endswith("True")
    assert place.split("|")[:2] == ["a-secret", "0"]


def test_a_forked_kernel_that_dies_is_told_as_such(tmp_path, incident):
    """By SIGKILL, by an exit status, and stuck in C code with its GIL held when its time is up."""
    stuck = "import ctypes\nctypes.PyDLL(None).sleep(1000)"
    died = [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "failed", "SIGKILL"),
        ("import os\nos._exit(7)", "failed", "exit status 7"),
        (stuck, "timed out", "the cell was stopped after"),
    ]
    with warm.kernels():
        for source, state, reason in died:
            result = play(notebook(tmp_path, source), incident, cell_timeout=None if state == "failed" else 1.0)
            assert (result.state, result.exit_status) == (state, 1)
            assert reason in result.reason


def test_nothing_is_left_when_the_process_that_forks_is_closed(tmp_path, incident, saved, until, alive):
    """A forked kernel ends with its run; the process that forks ends with its block, and so do its open files."""
    before = (psutil.Process().num_fds(), psutil.Process().children())
    with warm.kernels():
        folder = play(notebook(tmp_path, "import os\nprint(os.getpid())"), incident).folder
        until(lambda: not alive(int(words(saved, folder)[0])))
    until(lambda: psutil.Process().children() == before[1])
    assert psutil.Process().num_fds() <= before[0]
