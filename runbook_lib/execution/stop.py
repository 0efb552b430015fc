"""SIGINT and SIGTERM as something to wait for."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

HEARD = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Hears SIGINT and SIGTERM from enter to exit, also before and after the event loop runs, so that a run is sealed
    whenever they come. Python lets the main thread alone do so; in others nothing is heard and the process decides.
    """

    def __init__(self) -> None:
        self.signal: str | None = None
        self._before: dict[int, Any] = {}
        self._wake: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in HEARD}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number).name
        if self._wake is not None:
            self._wake()

    def attach(self) -> asyncio.Event:
        """An event of the running loop that a signal sets, also one that was heard before."""
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = lambda: loop.call_soon_threadsafe(event.set)
        if self.signal:
            event.set()
        return event

    def detach(self) -> None:
        """To be called before the loop closes."""
        self._wake = None
