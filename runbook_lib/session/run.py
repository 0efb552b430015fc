"""The run of a notebook: asks, shows, gives the verdict, proposes. Whoever executes the cell, it writes evidence."""

import math
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from runbook_lib import asking, checks, diagnosis, drivers, queries, workspace
from runbook_lib import profile as profiles
from runbook_lib.archive import timeline
from runbook_lib.archive.store import IncidentFolder, RunFolder
from runbook_lib.asking import Question
from runbook_lib.errors import UsageError
from runbook_lib.model import Evidence, Finding, Json, Outcome, Status, Target, worst
from runbook_lib.profile import Profile
from runbook_lib.session import redaction
from runbook_lib.session.mitigating import mitigate
from runbook_lib.session.opening import fence, folders
from runbook_lib.session.shown import Banner, Message, Verdict, show
from runbook_lib.text import command
from runbook_lib.window import Window, now

NOTED = (Status.WARN, Status.CRITICAL)
ROUND = 60.0
"""Seconds beyond the hold in which what was changed may take effect, before it is said not to have helped."""
PATIENCE = 30.0
"""Seconds for which a source that timed out is not asked again, so that it costs a notebook one deadline, not two."""


class Run:
    """One run of one notebook. Made by `open_run`."""

    def __init__(
        self,
        notebook: str,
        profile: Profile,
        incident: IncidentFolder,
        folder: RunFolder,
        window: Window,
        deadline: float,
    ) -> None:
        self.notebook = notebook
        self.profile = profile
        self.incident = incident
        self.folder = folder
        self.window = window
        self.deadline = deadline
        self.started = now()
        self.answers: list[tuple[Evidence, Finding]] = []
        self.afterwards: list[tuple[Evidence, Finding]] = []
        self.plans: list[dict[str, Json]] = []
        self._verdict: Verdict | None = None
        self._silent: dict[str, tuple[float, str]] = {}

    @property
    def findings(self) -> list[Finding]:
        return [finding for _, finding in self.answers]

    @property
    def targets(self) -> tuple[Target, ...]:
        """Who answered, one for each source, best known."""
        known = {name: self._target(name) for name in self.profile.sources}
        for evidence, _ in self.answers:
            if evidence.target.identity or not known[evidence.target.source].identity:
                known[evidence.target.source] = evidence.target
        return tuple(known.values())

    def _target(self, name: str) -> Target:
        source = self.profile.sources[name]
        return Target(source=name, kind=source.kind, address=drivers.of(source).address(source))

    def ask(self, *questions: str | Question) -> None:
        """Puts all questions at once to every source they are meant for; shows and stores each answer as it comes.

        A question that names only `system.query` is put as it is. Ends within the deadline of the run, whatever hangs.
        """
        put = [Question(ask=q) if isinstance(q, str) else q for q in questions]
        fresh: list[tuple[Evidence, Finding]] = []

        def arrived(evidence: Evidence, finding: Finding) -> None:
            self.folder.append_evidence(evidence)
            self.answers.append((evidence, finding))
            fresh.append((evidence, finding))
            show(finding)

        asking.ask(
            put,
            self.profile,
            label=f"runbook/{self.incident.id}",
            deadline=self.deadline,
            sink=arrived,
            silent={name: why for name, (since, why) in self._silent.items() if time.monotonic() - since < PATIENCE},
        )
        # Those that were waited for, not those that were left out as silent: they are asked again after PATIENCE.
        late = {e.target.source: e.reason for e, _ in fresh if e.outcome is Outcome.TIMED_OUT and e.took}
        self._silent |= {name: (time.monotonic(), why) for name, why in late.items()}
        self._note(fresh)
        self.save()

    def _note(self, fresh: Sequence[tuple[Evidence, Finding]]) -> None:
        for _, finding in fresh:
            if finding.status in NOTED:
                data = {k: v for k, v in finding.record().items() if k not in ("facts", "arguments")}
                text = f"{finding.status}: {finding.source}: {finding.summary}"
                timeline.append(self.incident, "finding", text, data={"run": self.folder.id, **data})

    def show(self, *names: str) -> None:
        """What the checks said of these questions, once more where it is discussed."""
        for name in names:
            found: list[object] = [finding for _, finding in self._of(name)]
            show(*(found or [_not_asked(name)]))

    def chart(self, draw: Callable[[Evidence], object], name: str) -> None:
        """Draws the answer to a question, one figure for each source."""
        show(*([draw(evidence) for evidence, _ in self._of(name)] or [_not_asked(name)]))

    def _of(self, name: str) -> list[tuple[Evidence, Finding]]:
        latest = {e.target.source: (e, f) for e, f in self.answers if e.question == name}
        if not latest and name not in queries.names():
            raise UsageError(f"there is no question {name!r}")
        return list(latest.values())

    def verdict(self) -> None:
        """Ranks the causes from everything asked so far, shows them, and puts the verdict on the timeline."""
        latest = list({(f.check, f.source): f for f in self.findings}.values())
        unanswered = tuple(self.unanswered())
        self._verdict = Verdict(tuple(diagnosis.diagnose(latest)), worst(latest), len(latest), unanswered)
        first = self._verdict.first
        kept = ("cause", "title", "subject", "category", "confidence", "because", "supports")
        data = {k: v for k, v in first.record().items() if k in kept}
        data |= {"run": self.folder.id, "notebook": self.notebook, "status": str(self._verdict.status)}
        data |= {"unanswered": list(unanswered), "asked": len(latest), "answered": len(latest) - len(unanswered)}
        timeline.append(self.incident, "verdict", f"Verdict ({first.confidence}): {first.title}", data=data)
        show(self._verdict)
        self.save()

    def unanswered(self) -> list[str]:
        return [
            f"{e.question} on {e.target.source}: {str(e.outcome).replace('_', ' ')} ({e.reason})"
            for e, _ in {(e.question, e.target.source): (e, f) for e, f in self.answers}.values()
            if e.outcome is not Outcome.ANSWERED
        ]

    def next_notebooks(self) -> None:
        """Names the notebooks that go deeper into what the verdict says."""
        causes = [h.cause for h in self._verdict.hypotheses] if self._verdict else []
        names = [name for name in workspace.notebooks_about(causes) if name != self.notebook]
        for name in names:
            options = {"profile": str(self.profile.path), "incident": self.incident.id}
            place = str(self.incident.path.parent)
            show(Message(f"Next: {command('run', name, **options, archive=place)}"))

    def propose(self, approve: str = "", *, hold_seconds: float = 20.0, timeout_seconds: float = 90.0) -> None:
        """Shows the plans that fit the verdict, or whom to call where none does.

        A plan is carried out only when it is approved: by the button in JupyterLab, or named by `approve` in batch.
        Then the questions are asked again until they hold still for `hold_seconds`.
        """
        if self._verdict is None:
            raise UsageError("run.propose() wants a verdict first: run.verdict()")
        positive(hold_seconds=hold_seconds, timeout_seconds=timeout_seconds)
        timeout_seconds = max(timeout_seconds, hold_seconds + ROUND)
        mitigate(self, self._verdict.first, approve, hold_seconds=hold_seconds, timeout_seconds=timeout_seconds)
        self.save()

    def save(self) -> None:
        """Writes findings.json; it is whole at any moment."""
        verdict = self._verdict
        unanswered = self.unanswered()
        self.folder.write_findings(
            {
                "run": {
                    "id": self.folder.id,
                    "notebook": self.notebook,
                    "profile": self.profile.name,
                    "incident": self.incident.id,
                    "state": "running",
                    "started": self.started.isoformat(),
                    "ended": None,
                },
                "status": str(worst(self.findings)),
                "asked": len(self.answers),
                "answered": len(self.answers) - len(unanswered),
                "unanswered": unanswered,
                "findings": [_described(e, f) for e, f in self.answers],
                "afterwards": [_described(e, f) for e, f in self.afterwards],
                "hypotheses": [h.record() for h in verdict.hypotheses] if verdict else [],
                "verdict": verdict.first.record() if verdict else None,
                "plans": self.plans,
            }
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, Json]:
        banner = Banner(
            self.incident.id, self.profile.title, self.notebook, self.window, self.targets, str(self.folder.path)
        )
        return banner._repr_mimebundle_()


def _not_asked(name: str) -> Message:
    """A question that no source of the profile is there for is not a good answer."""
    system = name.partition(".")[0]
    return Message(f"{name} was not asked: the profile has no {system} source that answered to it.", bad=True)


def positive(**seconds: float) -> None:
    """Raises UsageError for a time that is none: with it everything would look dead."""
    for name, value in seconds.items():
        if not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name} is {value:g}: it wants a number of seconds above 0")


def _described(evidence: Evidence, finding: Finding) -> dict[str, Json]:
    coverage, target = evidence.coverage, evidence.target
    return {
        **finding.record(),
        "target": {"kind": target.kind, "address": target.address, "identity": target.identity},
        "question": evidence.question,
        "query": evidence.query,
        "params": dict(evidence.params),
        "observed_at": evidence.observed_at.isoformat(),
        "took_seconds": evidence.took.total_seconds(),
        "outcome": str(evidence.outcome),
        "reason": evidence.reason,
        "coverage": {
            "asked": coverage.asked,
            "answered": coverage.answered,
            "truncated": coverage.truncated,
            "stale": coverage.stale,
        },
    }


def open_run(
    notebook: str,
    *,
    profile: str,
    incident: str = "",
    archive: str = "",
    window_minutes: float = 30,
    deadline_seconds: float = 5,
) -> Run:
    """Opens a run: loads the profile, finds the incident, asks every system who it is.

    Raises ProfileError, SecretError, ArchiveError; WrongTargetError where another system than the incident's answers.
    """
    redaction.install()
    positive(deadline_seconds=deadline_seconds, window_minutes=window_minutes)
    loaded = profiles.load(profile)
    checks.check_thresholds(loaded)
    drivers.check_settings(loaded)
    incident_folder, folder = folders(notebook, loaded, incident, archive)
    run = Run(
        notebook, loaded, incident_folder, folder, Window.last(timedelta(minutes=window_minutes)), deadline_seconds
    )
    kinds = sorted({s.kind for s in loaded.sources.values()})
    run.ask(*(f"{k}.reachability" for k in kinds if f"{k}.reachability" in queries.names()))
    fence(incident_folder, run.targets)
    return run
