"""No secret leaves the kernel, whoever runs the notebook."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from runbook_lib import secrets
from runbook_lib.session import redaction

NOTEBOOKS = Path(__file__).parent.parent / "notebooks_for_tests"
SECRET = "kx9&Quite'Secret-77"


def test_a_stock_front_end_gets_no_secret(monkeypatch):
    """nbclient stands for JupyterLab: what it would save of the outputs holds neither the known secret in any
    spelling, nor the one that only looks like it, though both were printed in halves; the rest stays readable.
    """
    monkeypatch.setenv("TEST_SHOP_KEY", SECRET)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # ipykernel leaves file descriptors alone where it sees this
    monkeypatch.setenv("INSTALL", "yes")
    notebook = nbformat.read(NOTEBOOKS / "leaks.ipynb", as_version=4)
    NotebookClient(notebook, timeout=60, allow_errors=True).execute()
    outputs = {c.id: str(c.outputs) for c in notebook.cells if c.cell_type == "code"}
    text = str([outputs, notebook.metadata])
    assert not [s for s in secrets._spellings(SECRET) if s in text]
    joined = "".join(o.text for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream")
    assert SECRET not in joined
    assert "swordfish" not in text + joined
    assert "it is [redacted] and goes on" in joined
    assert f"ends in {SECRET[: len(SECRET) // 2]}" in joined
    assert "from the shell: [redacted]" in joined
    assert "to stderr [redacted]" in joined
    assert "now [redacted]" in outputs["update"]
    assert "typed [redacted]" in str(notebook.metadata.widgets)
    assert "cannot use [redacted] at postgres://app:[redacted]@db/shop" in outputs["raises"]


@pytest.fixture
def known(monkeypatch):
    redactor = secrets.Redactor(["hunter2hunter2x"])
    monkeypatch.setattr(redaction, "redactor", redactor)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("text", "now", "later"),
    [
        ("fine so far", "fine so far", ""),
        ("it is hun", "it is ", "hun"),
        ("it is hunter2hunter2x.", "it is [redacted].", ""),
        ("hunter2hunter2x and hunter2h", "[redacted] and ", "hunter2h"),
        ("hunter2hunter2", "", "hunter2hunter2"),
        ("done\nurl postgres://app:swor", "done\n", "url postgres://app:swor"),
        ("url postgres://app:swordfish@db\n", "url postgres://app:[redacted]@db\n", ""),
    ],
)
def test_what_could_become_a_secret_waits(text, now, later):
    """And nothing else does, so that progress is seen as it is made."""
    assert redaction.split(text) == (now, later)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("cut", range(1, 26))
def test_a_secret_in_two_pieces_is_never_shown(cut):
    """Wherever the cut is."""
    text = "<<< hunter2hunter2x >>>\nok"
    now, later = redaction.split(text[:cut])
    assert now + redaction.redactor.redact(later + text[cut:]) == "<<< [redacted] >>>\nok"


def test_outside_of_a_kernel_nothing_happens(monkeypatch):
    """Scripts may call it too: no gate is put in front of anything."""

    def gate(*_):
        raise AssertionError("a gate was made")

    monkeypatch.setattr(redaction, "_Gate", gate)
    redaction.install()
