"""JSON lines into the state folder, bounded in size."""

import json
import logging
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

SIZE = 5_000_000


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, service, message, and what was passed as `extra={"fields": {...}}`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": at, "level": record.levelname.lower(), "service": self.service, "message": record.getMessage()}
        return json.dumps(line | getattr(record, "fields", {}))


def json_log(state: Path, service: str) -> logging.Logger:
    """The log of a service, in `<state>/logs/<service>.jsonl`."""
    handler = RotatingFileHandler(state / "logs" / f"{service}.jsonl", maxBytes=SIZE, backupCount=1)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    return logging.getLogger(service)
