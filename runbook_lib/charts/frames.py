"""Frames read row by row, at the edge."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from runbook_lib.model import Evidence


def rows(evidence: Evidence, *columns: str) -> Iterator[tuple[Any, ...]]:
    """These columns of each row; what is missing is None, whichever of NaN, NaT and NA its column uses."""
    for row in evidence.data[list(columns)].itertuples(index=False, name=None):
        yield tuple(None if _missing(value) else value for value in row)


def _missing(value: object) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def number(value: Any) -> float:
    """A figure that can be drawn: missing and infinite ones are 0."""
    return float(value) if value is not None and math.isfinite(value) else 0.0


def highest(evidence: Evidence, column: str) -> int:
    return int(max((number(value) for (value,) in rows(evidence, column)), default=0.0))
