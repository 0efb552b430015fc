"""Liveness, readiness and startup probes: asked as often, and believed as late, as their spec says."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

Object = dict[str, Any]
LONGEST_WORDS = 200


@dataclass(slots=True)
class Probe:
    """Counts answers in a row; `healthy` is what they say so far."""

    spec: Object
    healthy: bool
    failures: int = 0
    successes: int = 0
    due: float = field(default=0.0)

    def count(self, *, good: bool) -> bool:
        """Takes an answer; whether `healthy` changed, or, for a failing one, failed often enough once more."""
        self.successes, self.failures = (self.successes + 1, 0) if good else (0, self.failures + 1)
        if good and self.successes >= self.spec.get("successThreshold", 1) and not self.healthy:
            self.healthy = True
            return True
        if not good and self.failures >= self.spec.get("failureThreshold", 3):
            self.failures = 0
            self.healthy = False
            return True
        return False


async def ask(spec: Object, address: str, container: Object, environment: Mapping[str, str]) -> str:
    """Empty for a good answer, else the kubelet's words for a bad one."""
    seconds = float(spec.get("timeoutSeconds", 1))
    try:
        async with asyncio.timeout(seconds):
            if "httpGet" in spec:
                return await _http(spec["httpGet"], address, container)
            if "tcpSocket" in spec:
                return await _tcp(_port(spec["tcpSocket"]["port"], container), address)
            return await _command(spec["exec"]["command"], environment)
    except TimeoutError:
        what = "Client.Timeout exceeded while awaiting headers" if "httpGet" in spec else "timed out"
        return f"context deadline exceeded ({what})"


async def _http(spec: Object, address: str, container: Object) -> str:
    host = spec.get("host") or address
    url = f"{spec.get('scheme', 'HTTP').lower()}://{host}:{_port(spec['port'], container)}{spec.get('path', '/')}"
    headers = {h["name"]: h["value"] for h in spec.get("httpHeaders") or []}
    try:
        async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - as the real kubelet does
            answer = await client.get(url, headers={"user-agent": "kube-probe/1.32", **headers})
    except httpx.HTTPError as error:
        words = (
            "connect: connection refused" if "refused" in str(error) or "attempts failed" in str(error) else str(error)
        )
        return f'Get "{url}": dial tcp {host}:{_port(spec["port"], container)}: {words}'
    return "" if answer.status_code < 400 else f"HTTP probe failed with statuscode: {answer.status_code}"


async def _tcp(port: int, address: str) -> str:
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return f"dial tcp {address}:{port}: connect: connection refused"
    writer.close()
    return ""


async def _command(words: list[str], environment: Mapping[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        os.killpg(process.pid, 9)
        raise
    return said.decode("utf-8", "replace").strip()[:LONGEST_WORDS] or "exit status" if process.returncode else ""


def _port(port: int | str, container: Object) -> int:
    if isinstance(port, int):
        return port
    return next((p["containerPort"] for p in container.get("ports") or [] if p.get("name") == port), 0)
