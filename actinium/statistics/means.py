"""Which interval a metric's mean over seeds gets: that of its kind in the table of measurements, never the nicer one.

docs/statistics.md says what each covers in simulations, and decision 0042 how they were chosen.
"""

from enum import Enum

import numpy as np

from actinium.measurements import bounds, is_event, metric
from actinium.statistics.bounded import bounded_mean_interval
from actinium.statistics.contrasts import correlation, difference_interval
from actinium.statistics.intervals import BoolArray, Estimates, FloatArray, mean_interval, wilson_interval
from actinium.statistics.rates import posterior_interval, rate_interval


class Method(Enum):
    """How the interval of a mean over seeds is made."""

    RATES = "rates"
    """Shares of units to which something happens: `rate_interval`."""

    SHARE_OF_SEEDS = "share of seeds"
    """Yes or no in each seed: Wilson's interval."""

    BOUNDED = "bounded"
    """Any other quantity with a least and a greatest value: `bounded_mean_interval`."""

    STUDENT = "student"
    """Everything else: Student's t, cut to what bound there is. Without any spread there is no interval."""


def method_of(name: str) -> Method:
    """The method of a metric, by its name."""
    entry, (low, high) = metric(name), bounds(name)
    if is_event(name):
        return Method.RATES if entry is not None and entry.defined == "unit" else Method.SHARE_OF_SEEDS
    return Method.STUDENT if low is None or high is None else Method.BOUNDED


def metric_interval(name: str, values: FloatArray) -> Estimates:
    """Mean over the last axis of a metric's values and its 95% interval; NaN are missing."""
    method, (low, high) = method_of(name), bounds(name)
    if method is Method.RATES:
        return rate_interval(values)
    if method is Method.SHARE_OF_SEEDS:
        return wilson_interval(np.nansum(values, axis=-1).astype(np.int64), (~np.isnan(values)).sum(axis=-1))
    if method is Method.BOUNDED:
        assert low is not None and high is not None
        return bounded_mean_interval(values, low=low, high=high)
    return student_interval(values, low=low, high=high)


def student_interval(values: FloatArray, *, low: float | None = None, high: float | None = None) -> Estimates:
    """`mean_interval`, cut to what bounds there are, and NaN for its ends where all values are equal."""
    found = mean_interval(values)
    spread = found.high > found.low
    return Estimates(
        estimate=found.estimate,
        low=np.where(spread, np.clip(found.low, low, None), np.nan),
        high=np.where(spread, np.clip(found.high, None, high), np.nan),
        n=found.n,
    )


def metric_contrast(name: str, treated: FloatArray, reference: FloatArray) -> Estimates:
    """Mean over seeds of treated - reference, [K, S] -> [K], over complete pairs, and its 95% interval.

    It is made of the intervals of both means (`difference_interval`). Of Student's intervals that is the paired t.
    """
    missing = np.isnan(treated) | np.isnan(reference)
    pair = [np.where(missing, np.nan, side) for side in (treated, reference)]
    method, (low, high) = method_of(name), bounds(name)
    if method is Method.STUDENT or low is None or high is None:
        return student_interval(pair[0] - pair[1])
    means = [metric_interval(name, side) for side in pair]
    if method is not Method.SHARE_OF_SEEDS:
        ends = [(mean.estimate == low) | (mean.estimate == high) for mean in means]
        alone = ends[0] ^ ends[1]
        means = [
            _beside_another(side, mean, where & alone, low=low, high=high)
            for side, mean, where in zip(pair, means, ends, strict=True)
        ]
    return difference_interval(means[0], means[1], correlation(pair[0], pair[1]))


def _beside_another(values: FloatArray, mean: Estimates, where: BoolArray, *, low: float, high: float) -> Estimates:
    """`mean`, but where all seeds of a cell are at one end of the scale, what the distributions between seeds allow.

    The bound 3/n on the share of seeds that may be elsewhere is that of a network that fails as a whole. Beside another
    cell that is compared with it, it would hide every difference; networks that fail are counted as collapsed trials.
    """
    if not where.any():
        return mean
    span = high - low
    below, above = posterior_interval((values[where] - low) / span)
    least = mean.estimate[where] == low
    lower, upper = mean.low.copy(), mean.high.copy()
    lower[where] = np.where(least, low, low + span * below)
    upper[where] = np.where(least, low + span * above, high)
    return Estimates(estimate=mean.estimate, low=lower, high=upper, n=mean.n)
