"""What every part of a report is made of: estimates with their intervals, and cells."""

from typing import Annotated, TypeAlias

from pydantic import Field, SerializeAsAny

from actinium.document import described
from actinium.paths import Cell

CellLevels: TypeAlias = Annotated[Cell, SerializeAsAny()]
"""A cell, written to JSON as it stands: to try each type that a level can have would double the time of a report."""


def _absent(value: float | None) -> bool:
    return value is None


@described
class Interval:
    """An estimate over seeds with its 95% confidence interval, in the unit of the field or metric that holds it."""

    estimate: float | None
    """The mean over seeds, or the share of trials; null where no seed has a value."""

    low: float | None
    """Lower end of the 95% confidence interval, in the estimate's unit; null below two seeds."""

    high: float | None
    """Upper end of the 95% confidence interval, in the estimate's unit; null below two seeds."""

    n: int
    """Number of seeds (or trials) with a value."""

    zero_event_bound: Annotated[float | None, Field(exclude_if=_absent)] = None
    """Fraction of seeds that may at most show an event which none has shown (95% confidence); elsewhere left out."""
