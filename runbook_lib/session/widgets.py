"""The approval button. Widgets give approvals; what they cause is on the timeline and in the evidence."""

import os
from collections.abc import Callable

from IPython.core.getipython import get_ipython
from IPython.display import display

from runbook_lib.archive.store import IncidentFolder
from runbook_lib.errors import RunbookError
from runbook_lib.mitigations.approval import approve
from runbook_lib.mitigations.plan import Plan
from runbook_lib.session.shown import Message, show


def interactive() -> bool:
    """Whether a person sits at the kernel: a runner sets no comm for widgets, and says so by RUNBOOK_RUN_DIR."""
    return get_ipython() is not None and "RUNBOOK_RUN_DIR" not in os.environ


def offer(incident: IncidentFolder, plan: Plan, carry_out: Callable[[Plan], None]) -> None:
    """A field for the target's name and a button; what follows shows below it."""
    import ipywidgets

    name = ipywidgets.Text(placeholder=f"type {plan.source} to approve", layout={"width": "22em"})
    button = ipywidgets.Button(
        description=f"Approve and apply {plan.id}", button_style="danger", layout={"width": "22em"}
    )
    below = ipywidgets.Output()

    def pressed(_: object) -> None:
        with below:
            if name.value != plan.source:
                show(Message(f"Type the target's name, {plan.source}, to approve.", bad=True))
                return
            button.disabled = True
            try:
                approve(incident, plan.id)
                carry_out(plan)
            except RunbookError as error:
                button.disabled = False
                show(Message(str(error), bad=True))

    button.on_click(pressed)
    display(ipywidgets.VBox([ipywidgets.HBox([name, button]), below]))  # type: ignore[no-untyped-call]
