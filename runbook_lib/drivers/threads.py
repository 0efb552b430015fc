"""Deadlines that hold: daemon threads and one wall-clock end.

Driver time-outs are no deadlines (retries, several addresses, dripping bodies), and thread pools wait for a stuck
thread at exit. So what may hang runs in a daemon thread of its own and is left behind when its time is over.
"""

import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Value = TypeVar("Value")


def start(name: str, work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def side_by_side(work: Mapping[str, Callable[[], Value]], seconds: float) -> dict[str, Value]:
    """Calls all at once and returns what came back in time; who is missing took longer. Raises what a call raises."""
    done: SimpleQueue[tuple[str, Any, BaseException | None]] = SimpleQueue()

    def report(name: str, call: Callable[[], Value]) -> None:
        try:
            done.put((name, call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the waiting thread
            done.put((name, None, error))

    for name, call in work.items():
        start(name, lambda name=name, call=call: report(name, call))  # type: ignore[misc]
    end = time.monotonic() + seconds
    came: dict[str, Value] = {}
    while len(came) < len(work):
        try:
            name, value, error = done.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        if error is not None:
            raise error
        came[name] = value
    return came
