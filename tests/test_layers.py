"""Imports run downward, drivers own their clients, and help is quick."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "runbook_lib"
CLIENTS = {"psycopg": "drivers/postgres", "redis": "drivers/redis", "httpx": "drivers/http"}


@pytest.mark.parametrize(("client", "home"), CLIENTS.items())
def test_a_client_library_is_imported_in_its_driver_only(client: str, home: str) -> None:
    """So that a change of the library is a change of one file; the sandbox is a system of its own."""
    importers = {
        str(path.relative_to(PACKAGE).with_suffix(""))
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts and re.search(rf"^\s*(?:import|from) {client}\b", path.read_text(), re.MULTILINE)
    }
    assert importers == {home}


def test_help_imports_nothing_heavy() -> None:
    """`runbook --help` is needed most when one is in a hurry."""
    code = "import sys; from runbook_lib.cli import cli; cli.main(['--help'], standalone_mode=False);"
    code += "print(sorted({'pandas', 'matplotlib', 'papermill', 'psycopg', 'kubernetes'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().endswith("[]")
