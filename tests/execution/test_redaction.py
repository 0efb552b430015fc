"""No secret is in any file that the engine writes."""

import pytest

from runbook_lib import secrets
from runbook_lib.archive import store
from runbook_lib.execution import conductor, copies, form, ledger, runner

SECRET = "kx9&Quite'Secret-77"  # characters that are spelled otherwise in HTML, JSON and Python


@pytest.fixture
def known(monkeypatch):
    """The secret as a profile would have it, known to this process, which stands for the runner."""
    for module in (copies, conductor, ledger, store):
        monkeypatch.setattr(module, "redactor", secrets.Redactor([SECRET]))
    monkeypatch.setenv("TEST_SHOP_KEY", SECRET)


@pytest.mark.usefixtures("known")
def test_a_known_secret_and_what_looks_like_one_is_in_no_file(book, incident, saved):
    """Split prints, displays, updates of earlier cells, widgets, subprocesses, tracebacks; the rest stays readable."""
    # ipykernel leaves file descriptors alone where it sees pytest's variable.
    options = {"write_report": lambda _: None, "cell_timeout": 60, "hide_env": {"PYTEST_CURRENT_TEST"}}
    result = runner.run_notebook(book("leaks"), parameters={}, incident=incident, **options)
    assert result.state == "failed"
    text = "".join(p.read_text("utf-8") for p in incident.path.rglob("*") if p.is_file())
    assert not [s for s in secrets._spellings(SECRET) if s in text]
    assert "swordfish-9" not in text
    notebook = str(saved(result.folder))
    for kept in ("it is [redacted] and goes on", "now [redacted]", "typed [redacted]", "the shell: [redacted]"):
        assert kept in notebook
    assert "ValueError: cannot use [redacted] at postgres://app:[redacted]@db/shop" in result.reason


def test_a_secret_in_a_source_a_parameter_and_metadata(known):
    """The copy is clean, and the notebook that still runs is left as it was."""
    cell = {"cell_type": "code", "source": f"key = {SECRET!r}\npassword = 'swordfish-9'", "metadata": {"n": [SECRET]}}
    notebook = form.node(
        {"metadata": {"papermill": {"parameters": {"x": SECRET}}}, "cells": [{**cell, "outputs": []}], "nbformat": 4}
    )
    copy = str(copies.redacted(notebook))
    assert "Secret-77" not in copy
    assert "swordfish" not in copy
    assert "Secret-77" in str(notebook)


def test_images_are_left_alone(known):
    """A picture's text is no text."""
    picture = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl"
    assert copies.redactor.clean_display({"image/png": picture, "image/svg+xml": picture}) == {
        "image/png": picture,
        "image/svg+xml": secrets.MASK,
    }
