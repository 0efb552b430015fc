"""What a notebook holds: thin, ties the parts together, owns no logic of its own."""

from runbook_lib.session.review import open_review
from runbook_lib.session.run import Run, open_run

__all__ = ["Run", "open_review", "open_run"]
