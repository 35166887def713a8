"""Estimates with their 95% intervals, computed for many figures at once."""

import itertools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from actinium.report import Interval

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

LEVEL = 0.95
"""Two-sided coverage of every interval in a report."""

ZERO_EVENTS = 3.0
"""No event in S seeds: the chance of one is below 3/S with 95% confidence (SCIENCE D1)."""


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Estimates with their intervals' ends, in arrays of one shape, NaN where there is none; `n` counts replicates."""

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    n: IntArray

    def intervals(self, bounds: FloatArray | None = None) -> list[Interval]:
        """One interval for each figure, in C order; None for NaN. `bounds` are zero-event bounds, of the same shape."""
        bounded = itertools.repeat(None, self.n.size) if bounds is None else plain(bounds)
        counts = self.n.reshape(-1).tolist()
        columns = zip(plain(self.estimate), plain(self.low), plain(self.high), counts, bounded, strict=True)
        return [Interval(estimate=e, low=lo, high=hi, n=n, zero_event_bound=b) for e, lo, hi, n, b in columns]

    def at(self, positions: IntArray) -> "Estimates":
        """The figures at these positions of the first axis."""
        columns = (self.estimate, self.low, self.high)
        estimate, low, high = (column[positions] for column in columns)
        return Estimates(estimate=estimate, low=low, high=high, n=self.n[positions])

    def interval(self) -> Interval:
        """The interval of the one figure that this holds."""
        (only,) = self.intervals()
        return only


def plain(values: FloatArray) -> list[float | None]:
    """Flat Python numbers for JSON: what is not finite becomes None."""
    boxed = values.reshape(-1).astype(object)
    boxed[~np.isfinite(values.reshape(-1))] = None
    numbers: list[float | None] = boxed.tolist()
    return numbers


def mean_interval(values: FloatArray, *, level: float = LEVEL) -> Estimates:
    """Mean over the last axis and Student's t interval, mean ± t(n-1) sd / sqrt(n); NaN are missing.

    Of differences paired by seed this is the paired t interval. With n = 1 there is no interval, with n = 0 nothing.
    """
    present = ~np.isnan(values)
    n = present.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(present, values, 0.0).sum(axis=-1) / n
        deviations = np.where(present, values - mean[..., None], 0.0)
        error = np.sqrt((deviations**2).sum(axis=-1) / ((n - 1) * n))
        half = student_quantile(n - 1, level) * error
    return Estimates(estimate=mean, low=mean - half, high=mean + half, n=n)


def student_quantile(degrees: IntArray, level: float = LEVEL) -> FloatArray:
    """The two-sided t quantile; NaN without a degree of freedom."""
    table = special.stdtrit(np.arange(1, max(2, int(degrees.max(initial=1)) + 1)), 0.5 + level / 2.0)
    return np.where(degrees >= 1, table[np.maximum(degrees, 1) - 1], np.nan)


def zero_event_bound(values: FloatArray) -> FloatArray:
    """min(1, 3/n) where each of the last axis' n > 1 values is exactly zero, NaN elsewhere.

    With 95% confidence fewer than this share of seeds would show the event at all. It bounds the seeds, not the rate:
    the t interval of n zeros has no width, and says nothing of how rare what was never seen may be.
    """
    n = (~np.isnan(values)).sum(axis=-1)
    never = (n > 1) & ~(np.nan_to_num(values) != 0.0).any(axis=-1)
    return np.where(never, np.minimum(1.0, ZERO_EVENTS / np.maximum(n, 1)), np.nan)


def wilson_interval(events: IntArray, n: IntArray, *, level: float = LEVEL) -> Estimates:
    """The share events/n with Wilson's score interval (Wilson 1927), NaN where n is 0."""
    z = float(special.ndtri(0.5 + level / 2.0))
    safe = np.maximum(n, 1)
    share = events / safe
    centre = (share + z**2 / (2 * safe)) / (1 + z**2 / safe)
    half = z / (1 + z**2 / safe) * np.sqrt(share * (1 - share) / safe + z**2 / (4 * safe**2))
    missing = n == 0
    return Estimates(
        estimate=np.where(missing, np.nan, share),
        low=np.where(missing, np.nan, np.where(events == 0, 0.0, centre - half)),
        high=np.where(missing, np.nan, np.where(events == n, 1.0, centre + half)),
        n=n,
    )
