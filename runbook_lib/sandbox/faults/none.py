"""Nothing is broken: what a healthy shop looks like has to be found, too."""

import random

from runbook_lib.sandbox.box import Box

CAUSE = "healthy"
MITIGATION = None


def inflict(_: Box, __: random.Random) -> dict[str, object]:
    return {}


def heal(_: Box) -> None:
    """Nothing to do."""
