"""A run from its folder to its seal: `runbook run`, drills, and whoever else runs a notebook for an incident."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from runbook_lib import workspace
from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import IncidentFolder, RunFolder
from runbook_lib.errors import RefusedError
from runbook_lib.execution.conductor import Limits, conduct
from runbook_lib.execution.kernel import OnOutput, require
from runbook_lib.execution.ledger import Ledger, OnCell, cell_records, saver
from runbook_lib.execution.parameters import Given, declared, load_notebook, settle
from runbook_lib.execution.stop import Stop
from runbook_lib.model import Json

EXIT_STATUS = {"completed": 0, "failed": 1, "timed out": 1, "interrupted": 130}
RUN_SECONDS = 1800.0
"""Longer than any notebook takes that asks under deadlines; what hangs longer is no diagnosis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended; `findings` where the notebook wrote any."""

    folder: RunFolder
    state: str
    reason: str
    findings: Mapping[str, Json] | None
    exit_status: int


def run_notebook(
    name_or_path: str | Path,
    *,
    parameters: Mapping[str, Json],
    incident: IncidentFolder,
    timeout: float | None = RUN_SECONDS,
    cell_timeout: float | None = None,
    hide_env: Collection[str] = (),
    on_output: OnOutput | None = None,
    on_cell: OnCell | None = None,
    write_report: Callable[[RunFolder], object] | None = None,
) -> RunResult:
    """Runs a notebook into a new run folder of the incident, and seals it. Time-outs are in seconds.

    `parameters` are checked strictly; `incident` and `archive` are added where the notebook declares them. The kernel
    does not get the variables of `hide_env`. `write_report` defaults to the HTML report. However the notebook ends,
    this returns a RunResult; raises UsageError (ParameterError) before anything runs.
    """
    path = workspace.notebook(str(name_or_path))
    notebook, values = _prepared(path, parameters, incident)
    name = notebook.metadata.get("kernelspec", {}).get("name") or "python3"
    require(name)
    with Stop() as stop:
        run = _Run(incident, path.stem, values)
        ledger = Ledger(notebook, saver(run.folder.path / "notebook.ipynb"), on_cell)
        limits = Limits(cell=cell_timeout, run=timeout)
        env = _environment(run.folder, incident, hide_env)
        try:
            conduct(ledger, name, stop=stop, limits=limits, cwd=workspace.root(), env=env, on_output=on_output)
        finally:
            # Also where the engine itself broke off: the ledger says "failed" then, and the caller gets the error.
            result = run.end(ledger.notebook, write_report)
    return result


def _prepared(
    path: Path, parameters: Mapping[str, Json], incident: IncidentFolder
) -> tuple[NotebookNode, dict[str, Json]]:
    """The notebook with its parameters injected as papermill does, and all values: injected and default."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    known = declared(plain := load_notebook(path))
    ours = {"incident": incident.id, "archive": str(incident.path.parent)}
    given = {**{k: v for k, v in ours.items() if k in known}, **parameters}
    values = settle(plain, {name: Given(value, "parameters") for name, value in given.items()})
    notebook = load_notebook_node(str(path))
    if values:
        notebook = parameterize_notebook(notebook, values, kernel_name="python3", language="python")
    return notebook, {**{name: d.default for name, d in known.items()}, **values}


def _environment(run: RunFolder, incident: IncidentFolder, hidden: Collection[str]) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    ours = {"RUN_DIR": run.path, "WORKSPACE": workspace.root(), "ARCHIVE": incident.path.parent}
    return env | {f"RUNBOOK_{name}": str(path.absolute()) for name, path in ours.items()}


class _Run:
    """The record of one run: folder, lock, timeline, seal."""

    def __init__(self, incident: IncidentFolder, notebook: str, parameters: Mapping[str, Json]) -> None:
        self.folder = incident.new_run(notebook)
        self._incident = incident
        self._notebook = notebook
        self._parameters = parameters
        manifest.lock(self.folder, notebook=notebook)
        data = {"run": self.folder.id, "notebook": notebook, "parameters": dict(parameters)}
        timeline.append(incident, "run_started", f"{notebook} started", data=data)

    def end(self, notebook: NotebookNode, write_report: Callable[[RunFolder], object] | None) -> RunResult:
        """Completes findings.json, writes the report and seals, also where the report fails."""
        told = notebook.metadata["runbook"]
        state, reason = told["state"], told["reason"]
        findings = self._completed_findings(state, told["ended"])
        try:
            (write_report or _html_report)(self.folder)
        finally:
            digest = manifest.seal(
                self.folder,
                state=state,
                reason=reason,
                notebook=self._notebook,
                incident=self._incident.id,
                profile=str(self._parameters.get("profile") or ""),
                started=told["started"],
                ended=told["ended"],
                parameters=self._parameters,
                cells=cell_records(notebook),
            )
            data = {"run": self.folder.id, "notebook": self._notebook, "state": state, "manifest": digest}
            text = f"{self._notebook} {state}" + (f": {reason}" if reason else "")
            timeline.append(self._incident, "run_ended", text, data=data)
        status = _exit_status(state, told.get("kind", ""))
        return RunResult(folder=self.folder, state=state, reason=reason, findings=findings, exit_status=status)

    def _completed_findings(self, state: str, ended: str) -> dict[str, Json] | None:
        if not (self.folder.path / "findings.json").exists():
            return None
        findings = self.folder.findings()
        findings["run"] = {**findings.get("run", {}), "state": state, "ended": ended}
        self.folder.write_findings(findings)
        return findings


def _exit_status(state: str, kind: str) -> int:
    """A cell that was refused something (another target, an unapproved plan) says so with a status of its own."""
    refusals = {"RefusedError", *(c.__name__ for c in RefusedError.__subclasses__())}
    return RefusedError.exit_status if state == "failed" and kind in refusals else EXIT_STATUS[state]


def _html_report(run: RunFolder) -> object:
    from runbook_lib.reports import html

    return html.write(run)
