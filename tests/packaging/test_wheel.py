"""The wheel carries what a team needs to make its own."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_notebooks_and_parameters(tmp_path: Path) -> None:
    """Every notebook, parameter file, query and template of the checkout is in it, and `runbook init` copies them."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    for folder, pattern in (("notebooks", "*.ipynb"), ("parameters", "**/*.yaml")):
        for path in (ROOT / folder).glob(pattern):
            assert f"runbook_lib/_workspace/{path.relative_to(ROOT)}" in carried
    for path in [*(ROOT / "runbook_lib/queries").glob("*/*.*"), *(ROOT / "runbook_lib/reports/templates").glob("*")]:
        if path.is_file() and "__pycache__" not in path.parts:
            assert str(path.relative_to(ROOT)) in carried
    made = tmp_path / "mine"
    init = f"from runbook_lib.cli import main; main(['init', {str(made)!r}])"
    environment = {"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", init], check=True, env=environment, timeout=60, cwd=tmp_path)
    assert (made / "notebooks" / "triage.ipynb").is_file()
    assert (made / "parameters" / "profiles" / "sandbox.yaml").is_file()
