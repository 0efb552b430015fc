"""What was done of a plan: `plans/<id>.applied.json`, written before and after each call, so true after a kill -9."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runbook_lib.archive import writer
from runbook_lib.archive.store import IncidentFolder, read_json, write_json
from runbook_lib.errors import PlanRefusedError
from runbook_lib.mitigations.plan import Plan
from runbook_lib.model import Json
from runbook_lib.window import now


@dataclass(frozen=True, slots=True)
class Ledger:
    """`read` gives {plan, kind, state, by, started, ended, writer, session, undo, steps, undone}.

    `state` is applying (or killed while it was), applied or failed; a step's is not begun, begun (in doubt), done or
    failed.
    """

    path: Path

    @classmethod
    def of(cls, incident: IncidentFolder, plan_id: str) -> "Ledger":
        return cls(incident.path / "plans" / f"{plan_id}.applied.json")

    @property
    def begun(self) -> bool:
        return self.path.exists()

    def read(self) -> dict[str, Json]:
        return read_json(self.path)

    def begin(self, plan: Plan, session: Mapping[str, Json], longest: float) -> None:
        """The undo is on disk from here on; it is over after `longest` seconds.

        Raises PlanRefusedError where somebody began before.
        """
        record = {
            "plan": plan.id,
            "kind": plan.kind,
            "state": "applying",
            "by": session["by"],
            "started": now().isoformat(),
            "ended": None,
            "longest_seconds": longest,
            "writer": writer.identity(),
            "session": dict(session),
            "undo": plan.undo if isinstance(plan.undo, str) else list(plan.undo),
            "steps": [{"call": call, "state": "not begun", "ok": None, "result": ""} for call in plan.calls],
            "undone": None,
        }
        try:
            write_json(self.path, record, new=True)
        except FileExistsError:
            self.refuse_again(plan)

    def refuse_again(self, plan: Plan) -> None:
        """Raises PlanRefusedError where the plan was begun before: a plan is carried out once."""
        if self.begun:
            raise PlanRefusedError(f"plan {plan.id} {self.story()}")

    def mark(self, number: int, **what: Json) -> None:
        record = self.read()
        record["steps"][number] |= {**what, "at": now().isoformat()}
        write_json(self.path, record)

    def end(self, state: str) -> dict[str, Json]:
        record = self.read() | {"state": state, "ended": now().isoformat()}
        write_json(self.path, record)
        return record

    def undone(self, outcome: Mapping[str, Json]) -> None:
        write_json(self.path, self.read() | {"undone": {**outcome, "at": now().isoformat()}})

    def story(self) -> str:
        """What became of the plan so far, in words."""
        record = self.read()
        if record["undone"] and record["undone"]["ok"]:
            return f"was applied already, at {record['started']}, and undone at {record['undone']['at']}"
        if record["state"] != "applying":
            return f"was applied already: {record['state']} at {record['ended']} by {record['by']}"
        if self.writer_lives():
            return f"is being applied now, by process {record['writer']['pid']} on {record['writer']['host']}"
        done = sum(s["state"] == "done" for s in record["steps"])
        doubt = sum(s["state"] == "begun" for s in record["steps"])
        return (
            f"was begun at {record['started']} and has not ended: {done} of {len(record['steps'])} calls done, "
            f"{doubt} in doubt"
        )

    def writer_lives(self) -> bool:
        """Whether the process that applies it still runs; one on another machine does until its time is over."""
        record = self.read()
        known = writer.lives(record["writer"])
        if known is not None:
            return known
        running = now() - datetime.fromisoformat(record["started"])
        return running.total_seconds() < float(record["longest_seconds"])
