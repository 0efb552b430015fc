"""Evidence as pictures: one style, units on every axis, a title that says the conclusion.

Each chart is a frozen value that shows itself once in a notebook (`_repr_png_`), says in words what it shows (`repr`)
and saves itself (`save`). Evidence that was not answered or is empty becomes a picture of words.
"""

from runbook_lib.charts.comparison import before_after
from runbook_lib.charts.connections import connections_by_application, connections_over_time
from runbook_lib.charts.health import endpoint_latency
from runbook_lib.charts.idle import idle_transactions
from runbook_lib.charts.locks import blocking_tree
from runbook_lib.charts.statements import sequential_scans, statement_times
from runbook_lib.charts.style import Chart

__all__ = [
    "Chart",
    "before_after",
    "blocking_tree",
    "connections_by_application",
    "connections_over_time",
    "endpoint_latency",
    "idle_transactions",
    "sequential_scans",
    "statement_times",
]
