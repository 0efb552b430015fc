"""`runbook run`: what it prints, and how it exits."""

import json

import pytest

from runbook_lib.cli import main
from runbook_lib.incidents import life


def run(runbook_run, *arguments):
    process = runbook_run(*arguments)
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


def test_findings_verdict_and_plan_come_on_the_terminal(runbook_run, archive):
    """With the command that approves next; what a system says cannot draw or use markup."""
    life.declare(archive, "a test", profile="", incident="inc-1")
    status, out, errors = run(runbook_run, "findings", "--incident", "inc-1", "--fail-on", "warn")
    assert status == 4
    assert "\x1b" not in out
    assert "warn     shop: [bold]7 of 9[2J" in out
    assert "A leak (likely)" in out
    assert "not seen: redis.ping: refused" in out
    assert f"--incident inc-1 --approve plan-1 --archive {archive.root}" in out
    assert "plan plan-1: helped, every answer held ok for 30 s" in out
    assert "report.html" in out
    assert errors == ""


def test_json_is_one_object_and_nothing_else(runbook_run):
    """findings.json and the folder on stdout, the rest on stderr; nothing reaches `critical` here."""
    status, out, errors = run(runbook_run, "findings", "--json", "--fail-on", "critical")
    told = json.loads(out)
    assert status == 0
    assert told["run"]["state"] == "completed"
    assert told["folder"]
    assert "A leak (likely)" in errors


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["fine", "-p", "time=3"], "-p: the notebook has no parameter 'time'; did you mean times?"),
        (["fine", "-p", "times=often"], "-p: times wants int, got 'often'"),
        (["fine", "-f", "/nowhere.yaml"], "parameters file /nowhere.yaml cannot be read: No such file or directory"),
        (["gone"], "is not there"),
    ],
)
def test_bad_input_is_one_line_before_anything_runs(archive, book, capfd, arguments, line):
    """Exit status 2, and the archive stays empty."""
    name, *options = arguments
    with pytest.raises(SystemExit) as ended:
        main(["run", book(name), "--archive", str(archive.root), *options])
    out, errors = capfd.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert errors.startswith("runbook: ")
    assert errors.strip().endswith(line)
    assert errors.count("\n") == 1
    assert archive.incidents() == []
