"""Pure: findings to ranked hypotheses. The engine knows no cause; each cause is one short file under `causes/`."""

from runbook_lib.diagnosis.engine import diagnose
from runbook_lib.diagnosis.rules import Cause, Findings, Sign, Subject

__all__ = ["Cause", "Findings", "Sign", "Subject", "diagnose"]
