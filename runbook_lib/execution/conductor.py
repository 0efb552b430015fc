"""One coroutine takes a notebook through its kernel, cell by cell, until one fails, time is up or a signal comes.

nbclient turns every cancellation into "the kernel died", so who cancelled is looked at first.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from runbook_lib.errors import RunFailedError
from runbook_lib.execution import form
from runbook_lib.execution.kernel import Client, Kernel, OnOutput
from runbook_lib.execution.ledger import Ending, Ledger
from runbook_lib.execution.stop import Stop
from runbook_lib.secrets import redactor
from runbook_lib.text import clean
from runbook_lib.window import spoken

log = logging.getLogger(__name__)
CLEAN_UP_SECONDS = 5
LONGEST_REASON = 500
SKIPPED = "skip-execution"
"""The tag that nbclient passes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds; None is no limit. `run` counts from before the kernel starts."""

    start: float = 60
    cell: float | None = None
    run: float | None = None


class _TimeUpError(Exception):
    """A cell or the run had its time; the text says which."""


class _SignalledError(Exception):
    """We were told to stop; the text says how."""


def conduct(
    ledger: Ledger,
    kernel_name: str,
    *,
    stop: Stop,
    limits: Limits,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_output: OnOutput | None = None,
) -> NotebookNode:
    """Runs the ledger's notebook to its end, whatever that is, and returns the redacted copy that was saved last.

    Raises UsageError where the kernel is not installed; all else is told by the notebook's `metadata.runbook`.
    """
    try:
        kernel = Kernel(kernel_name)
    except OSError as error:
        return ledger.close(Ending(state="failed", reason=f"no kernel could be prepared: {error}"))
    run = _Run(ledger, kernel, stop, limits, on_output)
    return _in_a_loop(run.play(cwd, env))


def _in_a_loop(play: Coroutine[Any, Any, NotebookNode]) -> NotebookNode:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(play)
    # Called from inside of a kernel or a server: its loop cannot be entered a second time.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, play).result()


class _Run:
    def __init__(self, ledger: Ledger, kernel: Kernel, stop: Stop, limits: Limits, on_output: OnOutput | None) -> None:
        self._ledger = ledger
        self._kernel = kernel
        self._stop = stop
        self._limits = limits
        self._on_output = on_output
        self._client: Client = kernel.client(ledger.notebook, self._show if on_output else None)

    def _show(self, index: int, output: NotebookNode) -> None:
        """Hands an output on, redacted; a display that breaks is no reason to end a diagnosis."""
        if self._on_output is None:
            return
        try:
            self._on_output(index, form.node(redactor.clean_display(output)))
        except Exception:
            log.exception("what comes back is no longer shown here; it is in the notebook")
            self._on_output = None

    async def play(self, cwd: Path | None, env: Mapping[str, str] | None) -> NotebookNode:
        self._stopped = asyncio.create_task(self._stop.attach().wait())
        run = self._limits.run
        self._end = asyncio.get_running_loop().time() + run if run else None
        ending = Ending(state="failed", reason="the engine broke off")
        try:
            self._ledger.save()
            ending = await self._to_its_end(cwd, env)
        finally:
            try:
                self._client.set_widgets_metadata()
                copy = self._ledger.close(ending)
            finally:
                # A kernel that only failed still has its own record to close; one that is stuck would never do so.
                await self._kernel.stop(self._client, now=self._stuck(ending))
                self._stop.detach()
                self._stopped.cancel()
        return copy

    def _stuck(self, ending: Ending) -> bool:
        started = any(c.metadata.get("runbook", {}).get("started") for c in self._ledger.notebook.cells)
        return not started or ending.state in {"timed out", "interrupted"}

    async def _to_its_end(self, cwd: Path | None, env: Mapping[str, str] | None) -> Ending:
        try:
            await self._guarded(self._kernel.start(self._client, cwd=cwd, env=env, seconds=self._limits.start), None)
            for index in _runnable(self._ledger.notebook):
                ending = await self._cell(index)
                if ending is not None:
                    return ending
        except _SignalledError as error:
            return Ending(state="interrupted", reason=str(error))
        except _TimeUpError as error:
            return Ending(state="timed out", reason=str(error))
        except RunFailedError as error:
            return Ending(state="failed", reason=str(error))
        return Ending(state="completed")

    async def _cell(self, index: int) -> Ending | None:
        """Runs one cell; an ending where it is the last."""
        self._raise_if_stopped()
        cell, ledger = self._ledger.notebook.cells[index], self._ledger
        ledger.start(index)
        try:
            await self._guarded(self._client.async_execute_cell(cell, index), self._limits.cell)
        except CellExecutionError as error:
            reason = clean(redactor.redact(f"{error.ename}: {error.evalue}".splitlines()[0]), LONGEST_REASON)
            ledger.end(index, "failed", reason=reason)
            return Ending(state="failed", reason=f"cell {_name(cell, index)}: {reason}", kind=str(error.ename))
        except DeadKernelError:
            reason = await self._kernel.death()
            ledger.end(index, "failed", kind="DeadKernelError", reason=reason)
            return Ending(state="failed", reason=f"cell {_name(cell, index)}: {reason}")
        except CellTimeoutError:
            reason = "its outputs did not arrive"
            ledger.end(index, "failed", kind="CellTimeoutError", reason=reason)
            return Ending(state="failed", reason=f"cell {_name(cell, index)}: {reason}")
        except _TimeUpError as error:
            ledger.end(index, "timed out", kind="CellTimeoutError", reason=str(error))
            return Ending(state="timed out", reason=f"cell {_name(cell, index)}: {error}")
        except _SignalledError as error:
            ledger.end(index, "interrupted", kind="Interrupted", reason=str(error))
            raise
        ledger.end(index, "ok")
        return None

    def _raise_if_stopped(self) -> None:
        if self._stop.signal:
            raise _SignalledError(f"interrupted by {self._stop.signal}")

    async def _guarded(self, work: Coroutine[Any, Any, object], seconds: float | None) -> None:
        """Waits for the work, its seconds, the end of the run's time, or a signal, whichever comes first."""
        left = None if self._end is None else max(0.0, self._end - asyncio.get_running_loop().time())
        limit = min((s for s in (seconds, left) if s is not None), default=None)
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self._stopped}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return
        task.cancel()
        await asyncio.wait({task}, timeout=CLEAN_UP_SECONDS)
        with suppress(asyncio.CancelledError, asyncio.InvalidStateError):
            task.exception()
        self._raise_if_stopped()
        whose = "the cell" if limit == seconds else "the run"
        limit_of = seconds if limit == seconds else self._limits.run
        raise _TimeUpError(f"{whose} was stopped after {spoken(limit_of or 0)}")


def _runnable(notebook: NotebookNode) -> list[int]:
    return [
        index
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and cell.source.strip() and SKIPPED not in cell.metadata.get("tags", [])
    ]


def _name(cell: NotebookNode, index: int) -> str:
    return str(cell.get("id") or index + 1)
