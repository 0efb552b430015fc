"""Windows of time, always UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runbook_lib.errors import ParameterError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def now() -> datetime:
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """`20261121T035001Z`-like, sorts by time, fits a file name (microseconds keep the order of quick events).

    >>> stamp(datetime(2026, 11, 21, 3, 50, 1, 5, tzinfo=UTC))
    '20261121T035001.000005Z'
    """
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def duration(text: str) -> timedelta:
    """Reads `90s`, `30m`, `2h`, `1d`.

    >>> duration("30m")
    datetime.timedelta(seconds=1800)

    Raises ParameterError.
    """
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise ParameterError(f"{text!r} is no duration: write it like 90s, 30m, 2h or 1d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def spoken(seconds: float) -> str:
    """A duration as one says it.

    >>> spoken(0.25), spoken(42), spoken(150), spoken(7260)
    ('0.2 s', '42 s', '2 min 30 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` (included) to `end` (excluded)."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, length: timedelta) -> "Window":
        end = now()
        return cls(start=end - length, end=end)

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M:%S} to {self.end:%H:%M:%S} UTC"
