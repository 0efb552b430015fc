"""Containers' logs as files: `<root>/NAMESPACE/POD/CONTAINER.log`, and `.previous.log` of the run before.

A file whose lines begin with timestamps, as `kubectl logs --timestamps` writes them, can be asked for a time; of any
other file only the number of lines and bytes can be chosen.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from runbook_lib.sandbox.cluster.requests import Wanted
from runbook_lib.sandbox.cluster.status import bad_request

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z ")
LOOKED_AT = 20
POLL_SECONDS = 0.2
PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Logs:
    """Where the logs are."""

    root: Path

    async def answer(self, wanted: Wanted, pod: dict[str, Any], ending: asyncio.Event) -> Response:
        """`kubectl logs`: one container's, whole or a part, followed or not. Raises ApiError (400)."""
        container = _container(wanted, pod)
        path = self._path(wanted, container, pod)
        if path is None:
            return PlainTextResponse("")
        if wanted.flag("follow"):
            return StreamingResponse(_follow(path, wanted, ending), media_type="text/plain")
        return PlainTextResponse(_chosen(_read(path), wanted))

    def _path(self, wanted: Wanted, container: str, pod: dict[str, Any]) -> Path | None:
        suffix = ".previous.log" if wanted.flag("previous") else ".log"
        path = log_file(self.root, wanted.namespace, wanted.name, f"{container}{suffix}")
        if path.is_file():
            return path
        if wanted.flag("previous"):
            uid = pod["metadata"].get("uid", "")
            raise bad_request(
                f'previous terminated container "{container}" in pod "{wanted.name}" not found (uid {uid})'
            )
        waiting = _state(pod, container).get("waiting")
        if waiting:
            reason = waiting.get("reason", "unknown")
            raise bad_request(
                f'container "{container}" in pod "{wanted.name}" is waiting to start: '
                + ("trying and failing to pull image" if reason == "ImagePullBackOff" else reason)
            )
        return None


def log_file(root: Path, *parts: str) -> Path:
    """A file below a folder. Raises ApiError (400) for names that lead out of it: a snapshot may be anybody's."""
    if any("/" in part or part in {"", ".", ".."} for part in parts):
        raise bad_request(f"no log of that name: {'/'.join(parts)}")
    return root.joinpath(*parts)


def _container(wanted: Wanted, pod: dict[str, Any]) -> str:
    spec = pod.get("spec") or {}
    names = [c["name"] for c in spec.get("containers") or []]
    others = [c["name"] for c in spec.get("initContainers") or []]
    given = wanted.query.get("container", "")
    if given and given not in names + others:
        raise bad_request(f"container {given} is not valid for pod {wanted.name}")
    if not given and len(names) > 1:
        raise bad_request(
            f"a container name must be specified for pod {wanted.name}, choose one of: [{' '.join(names)}]"
            + (f" or one of the init containers: [{' '.join(others)}]" if others else "")
        )
    return given or names[0]


def _state(pod: dict[str, Any], container: str) -> dict[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((s.get("state") or {} for s in statuses if s.get("name") == container), {})


def _read(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines(keepends=True)


def _chosen(lines: list[str], wanted: Wanted) -> str:
    stamped = _stamped(lines)
    since = _since(wanted)
    if stamped and since:
        lines = [line for line in lines if _moment(line) >= since]
    if "tailLines" in wanted.query:
        count = wanted.number("tailLines")
        lines = lines[-count:] if count > 0 else []
    text = "".join(_plain(lines, stamped=stamped, wanted=wanted))
    limit = wanted.number("limitBytes")
    return text.encode()[:limit].decode("utf-8", "ignore") if limit else text


def _stamped(lines: Iterable[str]) -> bool:
    looked = [line for line in lines if line.strip()][:LOOKED_AT]
    return bool(looked) and all(STAMP.match(line) for line in looked)


def _plain(lines: Iterable[str], *, stamped: bool, wanted: Wanted) -> list[str]:
    if not stamped or wanted.flag("timestamps"):
        return list(lines)
    return [STAMP.sub("", line, count=1) for line in lines]


def _moment(line: str) -> datetime:
    """Nanoseconds are more than a datetime holds."""
    match = STAMP.match(line)
    return datetime.fromisoformat(line[:26] + "+00:00") if match else datetime.min.replace(tzinfo=UTC)


def _since(wanted: Wanted) -> datetime | None:
    if wanted.query.get("sinceTime"):
        try:
            return datetime.fromisoformat(wanted.query["sinceTime"])
        except ValueError as error:
            raise bad_request(f"sinceTime: {error}") from error
    seconds = wanted.number("sinceSeconds")
    return datetime.now(UTC) - timedelta(seconds=seconds) if seconds else None


async def _follow(path: Path, wanted: Wanted, ending: asyncio.Event) -> AsyncIterator[str]:
    """What is there, then what is added; ends with the file (the container's end) or the server."""
    lines = _read(path)
    yield _chosen(lines, wanted)
    stamped, rest = _stamped(lines), ""
    with path.open("rb") as file:
        file.seek(sum(len(line.encode("utf-8", "replace")) for line in lines))
        while not ending.is_set() and path.exists():
            piece = file.read(PIECE).decode("utf-8", "replace")
            if not piece:
                await asyncio.sleep(POLL_SECONDS)
                continue
            *whole, rest = (rest + piece).splitlines(keepends=True) if piece.endswith("\n") else [rest + piece]
            if rest.endswith("\n"):
                whole, rest = [*whole, rest], ""
            yield "".join(_plain(whole, stamped=stamped or _stamped(whole), wanted=wanted))
