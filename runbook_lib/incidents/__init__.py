"""An incident's life: what people and tools put on its timeline, and the state that follows from it."""

from runbook_lib.incidents.life import declare, escalate, note, resolve
from runbook_lib.incidents.state import NO_CAUSE, Phase, State, state_of, verdict_of

__all__ = ["NO_CAUSE", "Phase", "State", "declare", "escalate", "note", "resolve", "state_of", "verdict_of"]
