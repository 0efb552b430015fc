"""Keeps secrets inside the kernel, so that no front end can save one: all that leaves it goes through `Session.send`.

What a person types into a cell is in the front end already, so its source is out of reach here; the engine redacts it
in the copies that it saves.
"""

import os
import re
import sys
import threading
from typing import Any

from runbook_lib.secrets import redactor

# Where something may begin that only looks like a secret once its end is there; its line is held back till then.
OPENING = re.compile(
    r"(?i)://|bearer|authoriz|passw|secret|token|api_?key|private|akia|gh[pos]_|glpat|xox|[sr]k_live|eyJ"
)
LONGEST_LINE = 8192


def install() -> None:
    """From now on nothing that `secrets.redactor` knows, or that looks like a secret, leaves this kernel.

    May be called again; does nothing outside of a kernel. Output that a forked child writes in halves is redacted half
    by half.
    """
    module = sys.modules.get("ipykernel.kernelbase")
    if module is None or not module.Kernel.initialized():
        return
    session = module.Kernel.instance().session
    if not isinstance(getattr(session.send, "__self__", None), _Gate):
        session.send = _Gate(session).send


class _Gate:
    """Stands in for `Session.send`. Stream text is held back while a running cell may still complete a secret with it.

    Messages come from the main thread, the IOPub thread and others.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._send = session.send
        self._child = False
        self._running: set[str] = set()
        self._reset()
        os.register_at_fork(after_in_child=self._forked)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[tuple[str, str], tuple[str, Any, dict[str, Any]]] = {}

    def _forked(self) -> None:
        # Another thread may have held the lock, and what was held back is the parent's to send.
        self._child = True
        self._reset()

    def send(
        self,
        stream: Any,
        msg_or_type: Any,
        content: Any = None,
        parent: Any = None,
        ident: Any = None,
        buffers: Any = None,
        track: bool = False,  # noqa: FBT001, FBT002 - the signature is jupyter_client's
        header: Any = None,
        metadata: Any = None,
    ) -> Any:
        message = msg_or_type
        if isinstance(msg_or_type, str):
            message = self._session.msg(msg_or_type, content, parent=parent, header=header, metadata=metadata)
        if message["header"]["msg_type"] == "stream" and not self._child:
            return self._stream(stream, message, ident)
        self._release(message)
        safe = {
            **message,
            "content": redactor.clean_display(message["content"]),
            "metadata": redactor.clean_display(message["metadata"]),
        }
        return self._send(stream, safe, ident=ident, buffers=buffers, track=track)

    def _stream(self, stream: Any, message: dict[str, Any], ident: Any) -> Any:
        name, parent = message["content"]["name"], message["parent_header"]
        key = (parent.get("msg_id", ""), name)
        with self._lock:
            before = self._held.pop(key, ("", None, {}))[0]
            now, later = split(before + message["content"]["text"])
            if later:
                self._held[key] = (later, stream, parent)
            if not now:
                return None
            return self._send(stream, {**message, "content": {"name": name, "text": now}}, ident=ident)

    def _release(self, message: dict[str, Any]) -> None:
        """Sends what was held back for a request before anything else of it, and at its end."""
        request = message["parent_header"].get("msg_id", "")
        state = message["content"].get("execution_state") if message["header"]["msg_type"] == "status" else None
        with self._lock:
            if state == "busy":
                self._running.add(request)
                return
            if state == "idle":
                self._running.discard(request)
            due = [key for key in self._held if key[0] == request or (state == "idle" and key[0] not in self._running)]
            for key in due:
                later, stream, parent = self._held.pop(key)
                content = {"name": key[1], "text": redactor.redact(later)}
                self._send(stream, "stream", content, parent=parent, ident=f"stream.{key[1]}".encode())


def split(text: str) -> tuple[str, str]:
    """What may be shown now, redacted, and the end that has to wait for more, as it came."""
    cut = len(text) - redactor.holdback(text)
    line = text.rfind("\n") + 1
    if cut - line < LONGEST_LINE and OPENING.search(text, line):
        cut = min(cut, line)
    now, whole = redactor.redact(text[:cut]), redactor.redact(text)
    if now + redactor.redact(text[cut:]) != whole:
        # The cut would go through a secret that is whole already.
        return whole, ""
    return now, text[cut:]
