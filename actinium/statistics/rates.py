"""Intervals of rates of events, such as dead units, that are rare or differ strongly from seed to seed.

Where most seeds show none or next to none, and one in ten shows many, the mean rests on seeds that few samples hold: an
interval from the spread that was seen is too short, and too short most often where it is shortest. What can be done is
to say which distributions between seeds are possible, and to ask which of their means the seeds allow.
"""

from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from actinium.statistics.bounded import bounded_mean_interval
from actinium.statistics.intervals import LEVEL, BoolArray, Estimates, FloatArray, IntArray

Coarse: TypeAlias = NDArray[np.float32]
"""Log likelihoods are summed over seeds: their rounding, 1e-4 at most, is nothing beside what they decide."""

ERRORS_AWAY = 8.0
"""A mean rate that lies so many standard errors from the end of the scale needs no model of the distribution."""

FEW_ERRORS_AWAY = 1.5
"""So near the end of the scale a mean time rests on one seed or two."""

COUNTED = 1024
"""A rate is read as a count out of so many."""

UNKNOWN = COUNTED + 1
"""Stands for the count of a missing rate."""

SCATTERED = 3.0
"""Below this precision m (1 - m) / s^2 - 1, rates fill the scale from end to end, like yes and no."""

MEANS = special.expit(np.linspace(-12.0, 5.0, 48))
PRECISIONS = np.geomspace(1.0, 3000.0, 8)
SPREADS = np.geomspace(0.2, 5.0, 6)
AT_ONCE = 128
"""Rows whose posteriors fit a processor's cache together."""


def rate_interval(values: FloatArray) -> Estimates:
    """Mean over the last axis of rates between 0 and 1 and its 95% interval; NaN are missing.

    Far from both ends of the scale the interval is that of `bounded_mean_interval`. Where the mean is less than eight
    standard errors from an end, it is `posterior_interval`'s. Where rates fill the scale from end to end, which is the
    limit of what its models can be, the interval is the union of both.
    """
    plain = bounded_mean_interval(values)
    errors, precision = _spread(values, plain.estimate)
    return _near_an_end(values, plain, rare=errors < ERRORS_AWAY, union=precision < SCATTERED)


def time_interval(times: FloatArray, budget: FloatArray, *, variance: float | FloatArray = 0.0) -> Estimates:
    """Mean over the last axis of times cut at the budget [...], the restricted mean, and its 95% interval.

    It is that of `bounded_mean_interval`, and where the mean is less than 1.5 standard errors from an end of the scale
    (hardly anybody arrives) its union with `posterior_interval`'s. `variance` [...]: that of a single time within the
    interval between the evaluations that saw it.
    """
    shares = times / budget[..., None]
    plain = bounded_mean_interval(shares, variance=variance / budget**2)
    errors, _ = _spread(shares, plain.estimate)
    found = _near_an_end(shares, plain, rare=errors < FEW_ERRORS_AWAY, union=np.True_)
    return Estimates(estimate=budget * found.estimate, low=budget * found.low, high=budget * found.high, n=found.n)


def _spread(values: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How many standard errors the mean is from the nearer end of the scale, and the precision m (1 - m) / s^2 - 1."""
    present = ~np.isnan(values)
    n = present.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = (np.where(present, values - mean[..., None], 0.0) ** 2).sum(axis=-1)
        variance = squares / (n - 1)
        return np.minimum(mean, 1.0 - mean) / np.sqrt(variance / n), mean * (1.0 - mean) / variance - 1.0


def _near_an_end(values: FloatArray, plain: Estimates, *, rare: BoolArray, union: BoolArray | np.bool_) -> Estimates:
    """`plain`, but where the seeds are `rare` the posterior's interval or, where `union` says so, both together."""
    chosen = rare & (plain.n > 1) & (plain.estimate > 0.0) & (plain.estimate < 1.0)
    low, high = plain.low.copy(), plain.high.copy()
    if chosen.any():
        below, above = posterior_interval(values[chosen])
        joint = np.broadcast_to(union, chosen.shape)[chosen]
        mean = plain.estimate[chosen]
        low[chosen] = np.minimum(mean, np.where(joint, np.minimum(low[chosen], below), below))
        high[chosen] = np.maximum(mean, np.where(joint, np.maximum(high[chosen], above), above))
    return Estimates(estimate=plain.estimate, low=low, high=high, n=plain.n)


def posterior_interval(rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The central 95% of the posterior of the mean, for rows of rates between 0 and 1 [R, S]; NaN are missing.

    Two models of the distribution between seeds are equally likely beforehand: rates have a beta distribution, or their
    logits a normal one. Beforehand the mean has Jeffreys' density 1 / sqrt(m (1 - m)), and the logarithms of the beta's
    precision (1 to 3000) and of the logits' deviation (0.2 to 5) are uniform.
    """
    flipped = np.nan_to_num(rates).sum(axis=1) > 0.5 * (~np.isnan(rates)).sum(axis=1)
    below, above = _posterior(np.where(flipped[:, None], 1.0 - rates, rates))
    return np.where(flipped, 1.0 - above, below), np.where(flipped, 1.0 - below, above)


def _posterior(rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The ends of the central 95% of the mean's posterior, for rows of rates [R, S]."""
    counts = np.where(np.isnan(rates), UNKNOWN, np.rint(np.nan_to_num(rates) * COUNTED)).astype(np.int64)
    alike, back = np.unique(np.sort(counts, axis=1), axis=0, return_inverse=True)
    low, high = np.empty(len(alike)), np.empty(len(alike))
    for start in range(0, len(alike), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        below = _distribution(alike[part])
        low[part], high[part] = _quantile(below, (1.0 - LEVEL) / 2.0), _quantile(below, (1.0 + LEVEL) / 2.0)
    return low[back.reshape(-1)], high[back.reshape(-1)]


def _distribution(counts: IntArray) -> FloatArray:
    """The posterior of the mean, for rows of counts [R, S]: how much of it lies below each point of the grid [R, M]."""
    found = models()
    logs = np.broadcast_to(found.prior, (len(counts), found.prior.size)).copy()
    for column in counts.T:
        logs += found.log_likelihood[column]
    logs -= logs.max(axis=1, keepdims=True)
    mass = np.exp(logs).reshape(len(counts), len(MEANS), -1).sum(axis=2).astype(np.float64)
    mass /= mass.sum(axis=1, keepdims=True)
    below: FloatArray = np.clip(np.cumsum(mass, axis=1) - mass / 2.0, 1e-12, 1.0 - 1e-12)
    return below


def _quantile(below: FloatArray, at: float) -> FloatArray:
    """Where the distribution `below` [R, M] over the grid of means is `at`: between two grid points, logits go with the
    normal quantiles.
    """
    rows = np.arange(len(below))
    after = np.clip((below < at).sum(axis=1), 1, len(MEANS) - 1)
    first, second = (special.ndtri(below[rows, where]) for where in (after - 1, after))
    logits = special.logit(MEANS)
    step = np.clip((special.ndtri(at) - first) / np.maximum(second - first, 1e-9), -3.0, 2.0)
    found: FloatArray = special.expit(logits[after - 1] + step * (logits[1] - logits[0]))
    return found


@dataclass(frozen=True, kw_only=True)
class Models:
    """The distributions between seeds that are thought possible, M means by K shapes, in one row: first the K of the
    least mean. `prior` [M K], and `log_likelihood` [1026, M K] of each count out of 1024, and last of an unknown one.
    """

    prior: Coarse
    log_likelihood: Coarse


@cache
def models() -> Models:
    """Computed once: the table is 3 MB."""
    counts = np.arange(COUNTED + 1.0)[:, None, None]
    both = np.concatenate([_beta_log_likelihood(counts), _logit_log_likelihood(counts)], axis=2)
    known = both.reshape(COUNTED + 1, -1)
    jeffreys = 0.5 * np.log(MEANS * (1.0 - MEANS))[:, None]  # of the logit, by which the grid is uniform
    shapes = np.concatenate([np.full(len(grid), -np.log(len(grid))) for grid in (PRECISIONS, SPREADS)])
    return Models(
        prior=(jeffreys + shapes).reshape(-1).astype(np.float32),
        log_likelihood=np.concatenate([known, np.zeros((1, known.shape[1]))]).astype(np.float32),
    )


def _beta_log_likelihood(counts: FloatArray) -> FloatArray:
    """Of counts [1025, 1, 1] where rates have a beta distribution: beta-binomial, [1025, M, precisions]."""
    a, b = MEANS[:, None] * PRECISIONS, (1.0 - MEANS[:, None]) * PRECISIONS
    rest = COUNTED - counts
    ways = special.gammaln(COUNTED + 1.0) - special.gammaln(counts + 1.0) - special.gammaln(rest + 1.0)
    found: FloatArray = ways + special.betaln(counts + a, rest + b) - special.betaln(a, b)
    return found


def _logit_log_likelihood(counts: FloatArray) -> FloatArray:
    """Of counts where logits have a normal distribution, [1025, M, spreads]: each is known to half a count. The centre
    that belongs to a mean is found by averaging over the distribution.
    """
    nodes = np.linspace(-8.0, 8.0, 401)
    weights = np.exp(-(nodes**2) / 2.0)
    centres = np.linspace(-60.0, 40.0, 1001)
    columns = []
    for spread in SPREADS:
        mean_of = special.expit(centres[:, None] + spread * nodes) @ weights / weights.sum()
        columns.append(np.interp(special.logit(MEANS), special.logit(np.clip(mean_of, 1e-300, 1.0 - 1e-12)), centres))
    centre = np.stack(columns, axis=1)
    edges = (special.logit(np.clip((counts + side) / COUNTED, 0.0, 1.0)) for side in (-0.5, 0.5))
    lower, upper = ((edge - centre) / SPREADS for edge in edges)
    positive = lower > 0.0  # the difference of two tails is taken on the side where they are small
    lower, upper = np.where(positive, -upper, lower), np.where(positive, -lower, upper)
    return np.log(np.maximum(special.ndtr(upper) - special.ndtr(lower), 1e-200))
