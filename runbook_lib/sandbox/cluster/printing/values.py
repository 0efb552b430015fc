"""What several kinds' columns are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = Mapping[str, Any]
Cell = str | int | None
UNKNOWN = "<unknown>"
NONE = "<none>"
MINUTE, HOUR, DAY = 60, 3600, 86_400
YEAR = 365 * DAY


@dataclass(frozen=True, slots=True)
class Column:
    """`wide` is shown with `-o wide` only."""

    name: str
    value: Callable[[Object], Cell]
    type: str = "string"
    wide: bool = False
    format: str = ""


def ago(text: object) -> str:
    """How long ago a timestamp is, as `kubectl get` shows it."""
    at = moment(text)
    return UNKNOWN if at is None else human(int((datetime.now(UTC) - at).total_seconds()))


def moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def human(seconds: int) -> str:
    """client-go's `duration.HumanDuration`.

    >>> [human(s) for s in (-5, 0, 119, 120, 150, 3600, 30000, 200000, 700000, 70000000)]
    ['<invalid>', '0s', '119s', '2m', '2m30s', '60m', '8h', '2d7h', '8d', '2y80d']
    """
    if seconds < -1:
        return "<invalid>"
    seconds = max(seconds, 0)
    minutes, hours, days = seconds // MINUTE, seconds // HOUR, seconds // DAY
    shapes = (
        (2 * MINUTE, f"{seconds}s"),
        (10 * MINUTE, _two(minutes, "m", seconds % 60, "s")),
        (3 * HOUR, f"{minutes}m"),
        (8 * HOUR, _two(hours, "h", minutes % 60, "m")),
        (2 * DAY, f"{hours}h"),
        (8 * DAY, _two(days, "d", hours % 24, "h")),
        (2 * YEAR, f"{days}d"),
        (8 * YEAR, _two(days // 365, "y", days % 365, "d")),
    )
    return next((shape for below, shape in shapes if seconds < below), f"{days // 365}y")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}{small}{small_unit}" if small else f"{large}{unit}"


def at(item: Object, *path: str | int, default: Any = None) -> Any:
    """The value at a path, or the default where any part of it is missing."""
    value: Any = item
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return default
    return default if value is None else value


def column(name: str, *path: str | int, default: Cell = "", wide: bool = False, type: str = "string") -> Column:  # noqa: A002 - the Table's own word
    """A column that shows one field as it is."""
    return Column(name, lambda item: at(item, *path, default=default), type=type, wide=wide)


NAME = Column("Name", lambda item: item["metadata"]["name"], format="name")
AGE = Column("Age", lambda item: ago(item["metadata"].get("creationTimestamp")))


def containers(spec: Object) -> str:
    return ",".join(c["name"] for c in spec.get("containers") or [])


def images(spec: Object) -> str:
    return ",".join(c.get("image", "") for c in spec.get("containers") or [])


def of_template() -> tuple[Column, Column]:
    """Containers and images of a pod template, for `-o wide`."""
    return (
        Column("Containers", lambda i: containers(at(i, "spec", "template", "spec", default={})), wide=True),
        Column("Images", lambda i: images(at(i, "spec", "template", "spec", default={})), wide=True),
    )
