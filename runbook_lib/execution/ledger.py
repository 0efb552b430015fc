"""How each cell of a notebook went, kept in the notebook itself and saved as it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from nbformat import NotebookNode

from runbook_lib.archive.store import write_atomic
from runbook_lib.execution import form
from runbook_lib.execution.copies import redacted
from runbook_lib.secrets import redactor
from runbook_lib.window import now

CellState = Literal["ok", "failed", "timed out", "never ran", "interrupted", "running"]
RunState = Literal["completed", "failed", "timed out", "interrupted", "running"]
OnCell = Callable[[int, CellState], object]
# papermill's own words; it has none for cut off, and takes what is not pending for having run.
PAPERMILL = {"ok": "completed", "never ran": "pending", "running": "running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run ended, and why where it did not complete (one line, redacted).

    `kind` is the class of the exception that ended it, where a cell raised one.
    """

    state: RunState
    reason: str = ""
    kind: str = ""


def saver(path: str | Path | None) -> Callable[[NotebookNode], None]:
    """Writes a notebook whole or not at all; in other places than files (s3:// and so on) as papermill does."""
    if path is None or str(path) == "-":
        return lambda _notebook: None
    if "://" in str(path):
        from papermill.iorw import write_ipynb

        return lambda notebook: write_ipynb(notebook, str(path))
    return lambda notebook: write_atomic(Path(path), form.written(notebook))


class Ledger:
    """Marks cells and notebook, for papermill's readers too, and saves the redacted copy.

    A cell's metadata says `runbook: {state, started, seconds}` and, where it did not go well, `reason`; the notebook's
    says `runbook: {state, reason, started, ended}`.
    """

    def __init__(
        self, notebook: NotebookNode, save: Callable[[NotebookNode], None], on_cell: OnCell | None = None
    ) -> None:
        self.notebook = notebook
        self._save = save
        self._on_cell = on_cell
        self._started = now()
        # Each save redacts the whole copy, as an update may change an earlier cell; most of it is as it was.
        self._text = lru_cache(maxsize=4096)(redactor.redact)
        for cell in notebook.cells:
            cell.metadata["papermill"] = _papermill(None, None, "pending")
            if cell.cell_type == "code":
                cell.execution_count, cell.outputs = None, []
                cell.metadata["runbook"] = {"state": "never ran", "started": None, "seconds": None}
        self._mark_notebook(Ending(state="running"), None)

    def save(self) -> None:
        self._save(redacted(self.notebook, self._text))

    def start(self, index: int) -> None:
        """Also saves: one save a cell tells both how the last one ended and which one runs."""
        self._mark(index, "running", now(), None)
        for before in self.notebook.cells[:index]:
            if before.cell_type != "code":
                before.metadata["papermill"]["status"] = "completed"
        self.save()

    def end(self, index: int, state: CellState, *, kind: str = "", reason: str = "") -> None:
        """`reason` is shown as an error output of the name `kind` where nbclient left none."""
        cell = self.notebook.cells[index]
        self._mark(index, state, datetime.fromisoformat(cell.metadata["runbook"]["started"]), now())
        if reason:
            cell.metadata["runbook"]["reason"] = redactor.redact(reason)
        if kind:
            cell.outputs.append(form.error_output(kind, reason))

    def close(self, ending: Ending) -> NotebookNode:
        """The last save; returns the redacted copy."""
        if ending.state == "completed":
            for cell in self.notebook.cells:
                if cell.cell_type != "code":
                    cell.metadata["papermill"]["status"] = "completed"
        self._mark_notebook(ending, now())
        copy = redacted(self.notebook, self._text)
        self._save(copy)
        return copy

    def _mark(self, index: int, state: CellState, started: datetime, ended: datetime | None) -> None:
        metadata = self.notebook.cells[index].metadata
        seconds = (ended - started).total_seconds() if ended else None
        metadata["runbook"] = {"state": state, "started": started.isoformat(), "seconds": seconds}
        metadata["papermill"] = _papermill(started, ended, PAPERMILL.get(state, "failed"))
        if self._on_cell is not None:
            self._on_cell(index, state)

    def _mark_notebook(self, ending: Ending, ended: datetime | None) -> None:
        metadata = self.notebook.metadata
        times = {"started": self._started.isoformat(), "ended": ended.isoformat() if ended else None}
        metadata["runbook"] = {"state": ending.state, "reason": redactor.redact(ending.reason), **times}
        if ending.kind:
            metadata["runbook"]["kind"] = ending.kind
        bad = ending.state not in {"running", "completed"}
        metadata.setdefault("papermill", form.node({})).update(
            start_time=times["started"],
            end_time=times["ended"],
            duration=(ended - self._started).total_seconds() if ended else None,
            exception=True if bad else None,
        )


def cell_records(notebook: NotebookNode) -> list[dict[str, Any]]:
    """One record a code cell of a notebook that this engine ran: id, state, seconds."""
    return [
        {"id": cell.get("id", ""), **{k: cell.metadata["runbook"][k] for k in ("state", "seconds")}}
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _papermill(started: datetime | None, ended: datetime | None, status: str) -> NotebookNode:
    return form.node(
        {
            "exception": status == "failed" if started else None,
            "start_time": started.isoformat() if started else None,
            "end_time": ended.isoformat() if ended else None,
            "duration": (ended - started).total_seconds() if started and ended else None,
            "status": status,
        }
    )
