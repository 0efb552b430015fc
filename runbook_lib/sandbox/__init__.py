"""A small production on this machine: a real PostgreSQL, a real Valkey, a shop with customers, and true faults.

status = up(Path(".sandbox"), seed=7)
truth = break_fault(status.state, "lock_held")
...                         # investigate with status.profile, mitigate
heal(status.state)
down(status.state)
"""

from runbook_lib.sandbox.control import break_fault, down, heal, status, up
from runbook_lib.sandbox.faults import faults
from runbook_lib.sandbox.loading import Loaded, load
from runbook_lib.sandbox.values import Fault, Service, Status

__all__ = ["Fault", "Loaded", "Service", "Status", "break_fault", "down", "faults", "heal", "load", "status", "up"]
