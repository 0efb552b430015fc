"""The third party that charges cards: it stands for somebody else's service, and so it only says yes after a while."""

import itertools
import sys
import time
from pathlib import Path

from runbook_lib.sandbox.settings import Settings
from runbook_lib.sandbox.shop.log import json_log
from runbook_lib.sandbox.shop.web import Fields, healthy, server

SECONDS = 0.004
NUMBERS = itertools.count(1)


def charge(parameters: dict[str, str]) -> tuple[int, Fields]:
    time.sleep(SECONDS)
    return 200, {"authorization": f"A{next(NUMBERS):08d}", "amount": float(parameters["amount"])}


def main(state: Path) -> None:
    settings = Settings.read(state)
    json_log(state, "payments")
    routes = {"POST /charge": charge, "GET /health": healthy, "GET /ready": healthy}
    server(settings.ports["payments"], routes).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
