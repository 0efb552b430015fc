"""Opening a run: the incident it belongs to, its folder, and whether the systems that answer are the right ones."""

import atexit
import os
from collections.abc import Sequence
from pathlib import Path

from runbook_lib import incidents, workspace
from runbook_lib.archive import manifest, timeline
from runbook_lib.archive.store import Archive, IncidentFolder, RunFolder
from runbook_lib.errors import WrongTargetError
from runbook_lib.model import Target
from runbook_lib.profile import Profile
from runbook_lib.reports import html
from runbook_lib.window import now

CLOSED = "closed"


def folders(notebook: str, profile: Profile, incident: str, archive: str) -> tuple[IncidentFolder, RunFolder]:
    """The run folder that the runner made (RUNBOOK_RUN_DIR), else a new one, in a new incident where none is named."""
    prepared = os.environ.get("RUNBOOK_RUN_DIR")
    if prepared:
        run = RunFolder(Path(prepared))
        return IncidentFolder(run.path.parent.parent), run
    store = Archive.at(archive or workspace.default_archive())
    if incident:
        folder = store.incident(incident)
        if not any(e.kind == "declared" for e in timeline.read(folder)):
            incidents.declare(store, f"{notebook} opened by hand", profile=profile.name, incident=incident)
    else:
        folder = incidents.declare(store, f"{notebook} opened by hand", profile=profile.name)
    run = folder.new_run(notebook)
    manifest.lock(run, notebook=notebook)
    atexit.register(_close, folder, run, notebook, profile.name, now().isoformat())
    timeline.append(folder, "run_started", f"{notebook} opened", data={"run": run.id, "notebook": notebook})
    return folder, run


def _close(incident: IncidentFolder, run: RunFolder, notebook: str, profile: str, started: str) -> None:
    """At the end of a kernel that no runner watches: what a person ran cell by cell is sealed as `closed`."""
    ended = now().isoformat()
    if (run.path / "findings.json").exists():
        findings = run.findings()
        findings["run"] |= {"state": CLOSED, "ended": ended}
        run.write_findings(findings)
    try:
        html.write(run)
    finally:
        digest = manifest.seal(
            run,
            state=CLOSED,
            cells=(),
            notebook=notebook,
            incident=incident.id,
            profile=profile,
            reason="run by hand, cell by cell",
            started=started,
            ended=ended,
            parameters={},
        )
        data = {"run": run.id, "notebook": notebook, "state": CLOSED, "manifest": digest}
        timeline.append(incident, "run_ended", f"{notebook} closed", data=data)


def fence(incident: IncidentFolder, targets: Sequence[Target]) -> None:
    """Keeps an incident on its systems: the first identity that answers for a source is the one for all its runs.

    Raises WrongTargetError where another one is proven to answer; an identity that cannot be had proves nothing.
    """
    known = incidents.state_of(incident).targets
    for target in targets:
        if target.identity is None:
            continue
        if target.source not in known:
            data = {"source": target.source, "identity": target.identity, "address": target.address}
            timeline.append(incident, "target", f"{target.source} is {target.identity} at {target.address}", data=data)
        elif known[target.source] != target.identity:
            raise WrongTargetError(
                f"{target.source} at {target.address} is {target.identity}, but incident {incident.id} is about "
                f"{known[target.source]}: wrong profile, or wrong incident"
            )
