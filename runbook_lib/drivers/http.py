"""HTTP by httpx: one bounded GET, with what went wrong as an outcome."""

import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from runbook_lib.drivers import network
from runbook_lib.errors import ProfileError
from runbook_lib.model import Outcome
from runbook_lib.profile import Source, Strict

MOST_BYTES = 64 * 1024


class Settings(Strict):
    """`endpoints`: name to URL."""

    endpoints: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`latency_ms` until the last byte that was read; `status` None: no HTTP answer came."""

    outcome: Outcome
    reason: str = ""
    status: int | None = None
    latency_ms: float | None = None
    tls_days_left: float | None = None
    body: str = ""


def preflight(source: Source) -> None:
    """Raises ProfileError for an endpoint that is no URL, or holds a password: that would stand in every report."""
    for name, url in source.parse(Settings).endpoints.items():
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ProfileError(f"{_where(source, name)}: {error}") from error
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ProfileError(f"{_where(source, name)}: want http:// or https:// and a host")
        if parsed.userinfo:
            raise ProfileError(f"{_where(source, name)}: the URL holds a user or password; take it out")


def _where(source: Source, endpoint: str) -> str:
    path = ("sources", source.name, "endpoints", endpoint)
    return f"{source.marks.get(path, 'profile')}: source {source.name}: endpoint {endpoint}"


def hidden(source: Source) -> set[str]:  # noqa: ARG001 - no credentials here
    return set()


def address(source: Source) -> str:
    return ", ".join(source.parse(Settings).endpoints.values())


def get(url: str, *, agent: str, seconds: float) -> Reply:
    """One GET without redirects or retries; reads at most 64 KiB and no longer than `seconds`."""
    tls = url.lower().startswith("https:")
    try:
        # Loading the trusted certificates takes longer than many an answer, and is no latency of theirs.
        with httpx.Client(timeout=seconds, headers={"user-agent": agent}, trust_env=False, verify=tls) as client:
            begun = time.monotonic()
            with client.stream("GET", url) as response:
                body = _read(response, begun + seconds)
                return Reply(
                    outcome=Outcome.ANSWERED,
                    status=response.status_code,
                    latency_ms=(time.monotonic() - begun) * 1000,
                    tls_days_left=_days_left(response),
                    body=body.decode("utf-8", "replace"),
                )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Reply(outcome=_outcome(error), reason=f"{type(error).__name__}: {error}")


def _read(response: httpx.Response, end: float) -> bytes:
    body = b""
    for piece in response.iter_bytes(4096):
        body += piece
        if len(body) >= MOST_BYTES or time.monotonic() > end:
            break
    return body


def _days_left(response: httpx.Response) -> float | None:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate or "notAfter" not in certificate:
        return None
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    return (end - datetime.now(UTC)).total_seconds() / 86400


def _outcome(error: Exception) -> Outcome:
    if isinstance(error, httpx.TimeoutException):
        return Outcome.TIMED_OUT
    if isinstance(error, httpx.RemoteProtocolError):
        return Outcome.REFUSED
    return network.outcome(error) or Outcome.FAILED
