"""The database server dies, and nobody restarts it."""

import http.client
import random
import urllib.error
import urllib.request

from runbook_lib.sandbox.box import Box
from runbook_lib.sandbox.processes import wait_until

CAUSE = "database_down"
MITIGATION = "escalate"


def inflict(box: Box, chance: random.Random) -> dict[str, object]:
    """The seed decides: SIGKILL to every process of it, or its immediate mode, as at a power cut."""
    box.progress("ending PostgreSQL without a shutdown")
    box.postgres.crash(hard=chance.random() < 0.5)
    wait_until("requests to fail", lambda: _fails(box), 20, pause=0.2)
    return {"source": "shop_db"}


def heal(_: Box) -> None:
    """The server is restarted for every fault."""


def _fails(box: Box) -> bool:
    try:
        urllib.request.urlopen(box.endpoint("api"), timeout=3).close()  # noqa: S310 - our own loopback
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 503
    except (OSError, http.client.HTTPException):
        return True
    return False
