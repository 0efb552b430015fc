"""One run as far as its files tell, also when some are missing or torn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runbook_lib.archive import manifest
from runbook_lib.archive.store import RunFolder
from runbook_lib.errors import ArchiveError, StateError
from runbook_lib.model import STATUS_RANK, Json, Status
from runbook_lib.reports import notebook
from runbook_lib.reports.notebook import Notebook

STATES = {
    "completed": "Every cell ran to its end.",
    "failed": "A cell failed; those after it never ran.",
    "timed out": "It was stopped at its time limit; what came after never ran.",
    "interrupted": "It was interrupted; what came after never ran.",
    "killed": "Its writer died before it could seal the run; what is here is what was on disk by then.",
    "running": "It is still being written; this is what is known so far.",
    "by hand": "Its cells were run by hand (JupyterLab) or by plain papermill: nothing watched how it ended.",
}
RANK = {**STATUS_RANK, Status.UNKNOWN: 0.5}
Record = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """`findings` is findings.json, empty where there is none; `trouble` says what is missing."""

    folder: RunFolder
    findings: Record
    notebook: Notebook
    state: str
    trouble: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.folder.id

    def fact(self, name: str) -> str:
        """What findings.json says of the run: notebook, profile, incident, started, ended."""
        return str(self._part("run").get(name) or "")

    @property
    def name(self) -> str:
        """The notebook's name, by the folder's where the run left no findings."""
        return self.fact("notebook") or "-".join(self.id.split("-")[1:-1]) or self.id

    @property
    def started(self) -> str:
        """By the folder's name where nothing else tells."""
        return self.fact("started") or self.notebook.started or self.id.partition("-")[0]

    @property
    def incident(self) -> str:
        return self.fact("incident") or self.folder.path.parent.parent.name

    @property
    def ended(self) -> str:
        return self.notebook.ended or self.fact("ended")

    @property
    def verdict(self) -> Record | None:
        return self._part("verdict") or None

    def records(self, name: str) -> list[Record]:
        """A list of findings.json (findings, hypotheses, plans), what is no record left out."""
        return [r for r in self.findings.get(name) or [] if isinstance(r, Mapping)]

    @property
    def unanswered(self) -> list[str]:
        return [str(s) for s in self.findings.get("unanswered") or []]

    def _part(self, name: str) -> Record:
        part = self.findings.get(name)
        return part if isinstance(part, Mapping) else {}


def read(run: RunFolder) -> RunRecord:
    """Never raises for what a crash may have left behind."""
    shown = notebook.read(run.path / "notebook.ipynb")
    trouble = [shown.trouble] if shown.trouble else []
    findings: Record = {}
    try:
        findings = run.findings()
    except ArchiveError:
        trouble.append("findings.json is not there: the run ended before any question was answered")
    except StateError as error:
        trouble.append(f"findings.json cannot be read: {error}")
    if findings and not findings.get("verdict"):
        trouble.append("no verdict was reached")
    return RunRecord(folder=run, findings=findings, notebook=shown, state=_state(run, shown), trouble=tuple(trouble))


def _state(run: RunFolder, shown: Notebook) -> str:
    """What the seal says; before it, what the engine wrote into the notebook, if its writer still lives."""
    sealed, locked = ((run.path / name).exists() for name in (manifest.MANIFEST, manifest.LOCK))
    try:
        known = manifest.state_of(run) if sealed or locked else ""
    except (StateError, KeyError):
        return "killed"
    if known and known != "running":
        return known
    if shown.state and shown.state != "running":
        return shown.state
    return known or "by hand"


def rank(status: Json) -> float:
    """From good to bad; unknown, and a word that is no status, between ok and warn."""
    return RANK[Status(str(status))] if str(status) in set(Status) else 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """All findings of one check on one source: the first, and the last where it was asked again."""

    first: Record
    last: Record
    times: int

    @property
    def rank(self) -> float:
        return max(rank(self.status), rank(self.last_status))

    @property
    def status(self) -> str:
        return str(self.first.get("status", Status.UNKNOWN))

    @property
    def last_status(self) -> str:
        return str(self.last.get("status", Status.UNKNOWN))


def asked(findings: Sequence[Record]) -> list[Asked]:
    """Findings joined by check, source and arguments, worst first; a question asked again is one line, not twenty."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for finding in findings:
        key = (str(finding.get("check")), str(finding.get("source")), repr(finding.get("arguments")))
        groups.setdefault(key, []).append(finding)
    joined = [Asked(first=g[0], last=g[-1], times=len(g)) for g in groups.values()]
    return sorted(joined, key=lambda a: -a.rank)
