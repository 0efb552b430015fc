"""Bad input gets one clear line and exit status 2, before anything runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def runbook(
    *words: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runbook_lib", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})}, cwd=cwd
    )


PROFILE = """title: A platform
severities: {SEV1: {definition: all is down}}
sources:
  db:
    kind: postgres
    host: localhost
    database: shop
    reader: {user: reader, password: "env:RUNBOOK_TEST_UNSET"}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.mark.parametrize("words", [["incident", "status"], ["postmortem"], ["rejudge"], ["archive", "verify"]])
@pytest.mark.parametrize(("name", "wanted"), [("inc-none", "is not in"), ("../../etc", "is no incident id")])
def test_an_incident_that_is_not_there(words: list[str], name: str, wanted: str, place: Path) -> None:
    """Named, with the archive that was looked in; nothing is made."""
    place.mkdir()
    done = runbook(*words, name, env={"RUNBOOK_ARCHIVE": str(place)})
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert wanted in done.stderr
    assert not any(place.iterdir())


LOGIN = "{user: c, password: 'env:NOPE_UNSET'}"
UNUSABLE = {
    "sources: [1]": "sources:",
    "title: B": "profile.yaml:3: title stands here a second time",
    "a: &a [*a]": "holds itself",
    "a: \x00": "not YAML",
    "thresholds: {postgres.conections: {warn: 0.7}}": "profile.yaml:3",
    "thresholds: {postgres.connections: {wran: 0.7}}": "did you mean warn",
    "thresholds: {postgres.connections: {warn: abc}}": "warn wants a number",
    f"sources: {{db: {{kind: postgres, host: a, database: b, reader: {LOGIN}}}}}": "source db:",
    "sources: {web: {kind: http, endpoints: {a: not a url}}}": "profile.yaml:3",
}


@pytest.mark.parametrize("text", UNUSABLE)
def test_a_profile_that_cannot_be_used(text: str, tmp_path: Path, place: Path) -> None:
    """One line with file and place, before an incident is declared."""
    path = tmp_path / "profile.yaml"
    path.write_text(f"title: A\nseverities: {{SEV1: {{definition: all is down}}}}\n{text}\n")
    done = runbook("run", "triage", "--profile", str(path), env={"RUNBOOK_ARCHIVE": str(place)})
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    assert UNUSABLE[text] in done.stderr
    assert not place.exists() or not any(place.iterdir())


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["run", "triagge"], ["no notebook 'triagge'", "did you mean triage"]),
        (["run", "triage", "-p", "incidnt=x"], ["incidnt", "incident"]),
        (["run", "triage", "-p", "deadline_seconds=soon"], ["deadline_seconds", "soon"]),
        (["run", "triage", "--profile", "sandbocks"], ["no profile 'sandbocks'", "did you mean sandbox"]),
        (["run", "triage", "--profile", "/nowhere/at/all.yaml"], ["/nowhere/at/all.yaml", "not there"]),
        (["run", "triage", "-p", "profile=AKIAABCDEFGHIJKLMNOP"], ["secret"]),
        (["drill", "lock_hold"], ["lock_hold", "did you mean lock_held"]),
        (["sandbox", "break", "lock_hold"], ["lock_hold"]),
        (["run", "triage", "-p", "deadline_seconds=-1"], ["deadline_seconds", "above 0"]),
        (["run", "triage", "-p", "deadline_seconds=nan"], ["deadline_seconds", "number"]),
        (["run", "triage", "-p", "window_minutes=99999999999999999999"], ["window_minutes", "at most"]),
        (["run", "triage", "--timeout", "nan"], ["--timeout"]),
        (["run", "triage", "--timeout", "0"], ["--timeout"]),
        (["run", "triage", "--incident", "inc-none"], ["no archive"]),
        (["run", "triage", "--archive", ""], ["--archive is empty"]),
        (["incident", "list"], ["no archive"]),
        (["incident", "status", "inc-none"], ["no archive"]),
        (["postmortem", "inc-none"], ["no archive"]),
        (["rejudge", "inc-none"], ["no archive"]),
        (["archive", "verify", "inc-none"], ["no archive"]),
        (["sandbox", "load", "/nowhere/at/all"], ["/nowhere/at/all is no folder"]),
        (["init", "/proc/nowhere"], ["/proc/nowhere cannot be filled"]),
    ],
)
def test_one_line_and_status_2(words: list[str], wanted: list[str], place: Path) -> None:
    """What, where, and what to do; nothing is written but the empty archive."""
    done = runbook(*words, env={"RUNBOOK_ARCHIVE": str(place)})
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert all(w in done.stderr for w in wanted), done.stderr
    assert done.stdout == ""
    assert not place.exists() or not any(place.iterdir())


def test_profile_with_an_unknown_key(tmp_path: Path, place: Path) -> None:
    """File and line of the key."""
    path = tmp_path / "mine.yaml"
    path.write_text(PROFILE + "sevrities: {}\n")
    done = runbook("run", "triage", "--profile", str(path), "--archive", str(place))
    assert done.returncode == 2
    assert f"{path}:9: unknown key sevrities" in done.stderr


def test_source_with_an_unknown_key(tmp_path: Path, place: Path) -> None:
    """The settings of a source are the driver's, and held to just as strictly."""
    path = tmp_path / "mine.yaml"
    path.write_text(PROFILE.replace("    host:", "    hots: x\n    host:"))
    done = runbook("run", "triage", "--profile", str(path), "--archive", str(place))
    assert done.returncode == 2
    assert f"{path}:6: unknown key sources.db.hots" in done.stderr


def test_unset_secret(tmp_path: Path, place: Path) -> None:
    """The reference is named, so that one knows what to export."""
    path = tmp_path / "mine.yaml"
    path.write_text(PROFILE)
    done = runbook("run", "triage", "--profile", str(path), "--archive", str(place))
    assert done.returncode == 2
    assert "env:RUNBOOK_TEST_UNSET is not set" in done.stderr


def test_unreachable_archive(tmp_path: Path) -> None:
    """An archive that cannot be written is known before anything is asked."""
    path, profile = tmp_path / "file", tmp_path / "mine.yaml"
    path.write_text("")
    profile.write_text(PROFILE)
    words = ["run", "triage", "--profile", str(profile), "--archive", str(path / "archive")]
    done = runbook(*words, env={"RUNBOOK_TEST_UNSET": "is set after all"})
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_init_never_overwrites(tmp_path: Path) -> None:
    """The second time says so and copies nothing."""
    assert runbook("init", str(tmp_path / "mine")).returncode == 0
    again = runbook("init", str(tmp_path / "mine"))
    assert again.returncode == 2
    assert "nothing was copied" in again.stderr


def test_init_is_a_workspace(tmp_path: Path) -> None:
    """What init copies is what runbook then uses."""
    runbook("init", str(tmp_path / "mine"))
    (tmp_path / "mine" / "notebooks" / "triage.ipynb").rename(tmp_path / "mine" / "notebooks" / "first_look.ipynb")
    done = runbook("run", "triage", cwd=tmp_path / "mine")
    assert "first_look" in done.stderr
