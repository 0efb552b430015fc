"""A wall-clock end for work on a remote system: a driver's own time-outs do not see a network that went silent."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from runbook_lib.drivers import threads
from runbook_lib.errors import DriverError
from runbook_lib.model import Outcome

Value = TypeVar("Value")


def within(seconds: float, name: str, work: Callable[[], Value]) -> Value:
    """What `work` returns or raises; DriverError (timed_out) after `seconds`, and the work is left behind."""
    done: SimpleQueue[tuple[Value | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the waiting thread
            done.put((None, error))

    threads.start(name, run)
    try:
        value, error = done.get(timeout=seconds)
    except Empty:
        raise DriverError(Outcome.TIMED_OUT, f"{name}: no end within {seconds:g} s") from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
