"""The papermill engine `runbook`: `papermill --engine runbook in.ipynb out.ipynb`.

papermill is imported late, by functions: it loads this module while it is itself being imported.
"""

import importlib
from pathlib import Path
from typing import IO, Any

from nbformat import NotebookNode

from runbook_lib.execution.conductor import Limits, conduct
from runbook_lib.execution.ledger import CellState, Ledger, OnCell, saver
from runbook_lib.execution.parameters import refuse_secrets
from runbook_lib.execution.stop import Stop


class RunbookEngine:
    """What papermill asks of an engine (it looks for these three methods, not for a base class).

    In what it returns, a failure is an error output of its cell, so that papermill raises PapermillExecutionError. The
    file that papermill then writes is redacted, but neither atomic nor sealed.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        *,
        output_path: str | Path | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        stdout_file: IO[str] | None = None,
        stderr_file: IO[str] | None = None,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        run_timeout: float | None = None,
        **_others: object,
    ) -> NotebookNode:
        """Runs `nb`, saving the redacted copy at `output_path` after each cell, and returns that copy.

        Times are in seconds; `run_timeout` is for the whole run. Raises ParameterError for a parameter that looks like
        a secret, UsageError for a kernel that is not installed, KeyboardInterrupt after SIGINT or SIGTERM.
        """
        refuse_secrets(nb.metadata.get("papermill", {}).get("parameters", {}))
        limits = Limits(start=start_timeout, cell=execution_timeout, run=run_timeout)
        progress, told = _progress(nb, progress_bar)
        logs = _Logs(log_output=log_output, stdout=stdout_file, stderr=stderr_file)
        try:
            with Stop() as stop:
                copy = conduct(Ledger(nb, saver(output_path), told), kernel_name, stop=stop, limits=limits)
        finally:
            progress.close()
        logs.write(copy)
        if copy.metadata["runbook"]["state"] == "interrupted":
            raise KeyboardInterrupt(copy.metadata["runbook"]["reason"])
        return copy

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        from papermill.utils import nb_language

        return str(nb_language(nb, language))


def _progress(notebook: NotebookNode, wanted: bool | dict[str, Any]) -> tuple[Any, OnCell]:  # noqa: FBT001 - papermill's option
    tqdm = importlib.import_module("tqdm.auto").tqdm

    options = wanted if isinstance(wanted, dict) else {}
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    bar = tqdm(**{"total": total, "unit": "cell", "desc": "Executing", "disable": not wanted, **options})

    def told(_index: int, state: CellState) -> None:
        if state != "running":
            bar.update(1)

    return bar, told


class _Logs:
    """papermill's --log-output, --stdout-file and --stderr-file, written from the redacted copy at the end."""

    def __init__(self, *, log_output: bool, stdout: IO[str] | None, stderr: IO[str] | None) -> None:
        self._log = log_output
        self._files = {"stdout": stdout, "stderr": stderr}

    def write(self, copy: NotebookNode) -> None:
        for cell in copy.cells:
            for output in cell.get("outputs", []):
                self._one(output)

    def _one(self, output: NotebookNode) -> None:
        if output.output_type == "stream":
            file = self._files[output.name]
            if file is not None:
                file.write(output.text)
                file.flush()
            self._log_line(output.text)
        elif "data" in output:
            self._log_line(output.data.get("text/plain", ""))

    def _log_line(self, line: str) -> None:
        if self._log and line:
            from papermill.log import logger

            logger.info(line)
