"""Every notebook keeps the house rules; a failure says how to mend it."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import yaml

from runbook_lib import charts, checks, queries
from runbook_lib.diagnosis.engine import catalogue
from runbook_lib.drills import scenario
from runbook_lib.secrets import redactor

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HEADINGS = ["## Diagnosis", "## Mitigation", "## Related"]
LONGEST_CELL = 8
MACHINERY = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Try, ast.With, ast.Lambda)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def cells(path: Path, kind: str) -> list[Any]:
    return [c for c in nbformat.read(path, 4).cells if c.cell_type == kind]


def parameters_cell(path: Path) -> Any:
    (cell,) = [c for c in cells(path, "code") if "parameters" in c.metadata.get("tags", [])]
    return cell


@each_notebook
def test_has_no_outputs_and_named_cells(path: Path) -> None:
    """Clear the outputs, and give each cell an id that says what it is for."""
    assert not any(c.outputs or c.execution_count for c in cells(path, "code")), "jupyter nbconvert --clear-output"
    for cell in nbformat.read(path, 4).cells:
        assert re.fullmatch(r"[a-z][a-z0-9_\-]*", cell.id), f"rename cell {cell.id!r}"
        assert not re.fullmatch(r"[0-9a-f]{8}", cell.id), f"cell {cell.id!r} has a made-up id"


@each_notebook
def test_parameters_are_annotated_literals_with_help(path: Path) -> None:
    """papermill silently drops `x | None` annotations and defaults that contain '='."""
    body = ast.parse(parameters_cell(path).source).body
    assert all(isinstance(node, ast.AnnAssign) for node in body), "annotate every parameter: name: type = literal"
    for node in body:
        assert isinstance(node, ast.AnnAssign)
        assert node.value is not None
        ast.literal_eval(node.value)
    seen = papermill.inspect_notebook(path)
    assert {n.target.id for n in body} == set(seen), "papermill does not see them all"
    assert all(p["help"] for p in seen.values()), "say behind each what it is for: # ..."
    assert 3 <= len(seen) <= 8


@each_notebook
def test_parameter_file_fits_and_holds_no_endpoint_or_secret(path: Path) -> None:
    """Endpoints and secrets belong into the profile."""
    text = (ROOT / "parameters" / f"{path.stem}.yaml").read_text()
    assert set(yaml.safe_load(text)) <= set(papermill.inspect_notebook(path))
    assert "://" not in text
    assert redactor.redact(text) == text


@each_notebook
def test_cells_are_short_and_hold_no_machinery(path: Path) -> None:
    """Move what is longer, or loops, into runbook_lib."""
    for cell in cells(path, "code"):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= LONGEST_CELL, f"cell {cell.id} has {len(lines)} lines"
        assert not any(isinstance(n, MACHINERY) for n in ast.walk(ast.parse(cell.source))), f"cell {cell.id}"


@each_notebook
def test_tells_the_story_in_order(path: Path) -> None:
    """A title with when, meaning and impact; then diagnosis, mitigation, related."""
    first, *_ = cells(path, "markdown")
    text = "\n".join(c.source for c in cells(path, "markdown"))
    assert re.match(r"# \S", first.source)
    assert all(f"**{word}**" in first.source for word in ("Use when", "Meaning", "Impact"))
    assert [h for h in re.findall(r"^## .*$", text, re.MULTILINE) if h in HEADINGS] == HEADINGS


@each_notebook
def test_names_only_what_there_is(path: Path) -> None:
    """Questions, charts, causes and notebooks that it names exist; what it shows it has asked."""
    code = "\n".join(c.source for c in cells(path, "code"))
    asked = set(re.findall(r'"((?:postgres|redis|http)\.\w+)"', code))
    assert asked <= set(queries.names())
    assert asked <= set(checks.names())
    assert set(re.findall(r"charts\.(\w+)", code)) <= set(charts.__all__)
    shown = set(re.findall(r'"(\w+\.\w+)"', "\n".join(re.findall(r"run\.(?:show|chart)\(.*\)", code))))
    put = set(re.findall(r'"(\w+\.\w+)"', "\n".join(c.source for c in cells(path, "code") if c.id == "ask")))
    assert shown <= put | {"postgres.reachability", "redis.reachability"}
    causes = nbformat.read(path, 4).metadata["runbook"]["causes"]
    assert set(causes) <= {c.id for c in catalogue()}
    related = next(c.source for c in cells(path, "markdown") if "## Related" in c.source)
    assert set(re.findall(r"^- `(\w+)`", related, re.MULTILINE)) <= {p.stem for p in NOTEBOOKS}


def test_every_cause_has_a_notebook() -> None:
    """Triage names a next step for whatever it finds in the database."""
    named = {c for p in NOTEBOOKS for c in nbformat.read(p, 4).metadata["runbook"]["causes"]}
    assert {c.id for c in catalogue()} - named == {"redis_down"}


@pytest.mark.parametrize("name", scenario.names())
def test_every_drill_loads(name: str) -> None:
    """Its fault, notebook and cause exist."""
    drill = scenario.load(name)
    assert drill.cause in {c.id for c in catalogue()} | {"healthy"}
