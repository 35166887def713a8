"""Intervals of means of quantities that have a least and a greatest value, after Korn & Graubard (1998).

A survey's share of households that say yes, asked in a few clusters, is the same problem as a rate measured in a few
seeds: many values inside a seed, few seeds, and a mean near the end of the scale, where an interval about the mean
would leave the scale or have no width.
"""

import numpy as np
from scipy import special

from actinium.statistics.intervals import LEVEL, ZERO_EVENTS, Estimates, FloatArray, student_quantile


def bounded_mean_interval(
    values: FloatArray,
    *,
    low: float | FloatArray = 0.0,
    high: float | FloatArray = 1.0,
    variance: float | FloatArray = 0.0,
) -> Estimates:
    """Mean over the last axis of values between `low` and `high` [...] and its 95% interval; NaN are missing.

    The mean m (on the scale from 0 to 1) has variance v = s^2 / n over n seeds. As many independent yes-or-no answers
    with that mean would have the same variance: m (1 - m) / v of them, the effective number. It is lowered by
    (z / t(n - 1))^2, because v is known from n seeds only, and the interval is Clopper and Pearson's (1934) for that
    number. Far from the scale's ends it is Student's t interval.

    Where all seeds are equal, v says nothing and every seed counts as one answer; where all are at one end of the
    scale, the other end of the interval is 3/n of the scale away: with 95% confidence fewer than 3 in n seeds would be
    elsewhere. `variance` [...] is that of a single value beyond the seeds' spread, such as the coarseness of a grid.
    """
    floor, ceiling = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    span = ceiling - floor
    share = (values - floor[..., None]) / span[..., None]
    present = ~np.isnan(share)
    n = present.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.clip(np.where(present, share, 0.0).sum(axis=-1) / n, 0.0, 1.0)
        deviations = np.where(present, share - mean[..., None], 0.0)
        spread = (deviations**2).sum(axis=-1) / ((n - 1) * n) + variance / (n * span**2)
        z = float(special.ndtri(0.5 + LEVEL / 2.0))
        effective = mean * (1.0 - mean) / spread * (z / student_quantile(n - 1)) ** 2
        effective = np.where(np.isfinite(effective) & (spread > EQUAL), effective, n)
        bound = np.minimum(1.0, ZERO_EVENTS / n)
    below = np.where(mean == 1.0, 1.0 - bound, 0.0)
    above = np.where(mean == 0.0, bound, 1.0)
    inside = (n > 1) & (mean > 0.0) & (mean < 1.0)
    below[inside], above[inside] = clopper_pearson((mean * effective)[inside], effective[inside])
    return Estimates(
        estimate=floor + span * mean,
        low=np.where(n > 1, floor + span * below, np.nan),
        high=np.where(n > 1, floor + span * above, np.nan),
        n=n,
    )


EQUAL = 1e-24
"""Squared rounding errors: a variance below it is that of equal values."""


def clopper_pearson(events: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The interval of a share of which `events` of `n` are known, not necessarily whole (Clopper & Pearson 1934)."""
    tail = (1.0 - LEVEL) / 2.0
    rest = n - events
    low = np.where(events > 0.0, special.betaincinv(np.maximum(events, 1e-9), rest + 1.0, tail), 0.0)
    high = np.where(rest > 0.0, special.betaincinv(events + 1.0, np.maximum(rest, 1e-9), 1.0 - tail), 1.0)
    return low, high
