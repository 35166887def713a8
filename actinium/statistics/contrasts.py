"""Contrasts paired by seed: their intervals, exact p values, and Holm's correction (SCIENCE D6).

K contrasts, S seeds; NaN where a pair is incomplete.
"""

import numpy as np

from actinium.statistics.intervals import Estimates, FloatArray

EXACT_SEEDS = 20
"""Up to this many seeds every one of the 2^S sign patterns is counted; beyond, patterns are drawn."""

DRAWS = 9_999
ROUNDING = 1e-9
"""Sums that differ by less, as a share of the sum of absolute differences, are ties."""

CHUNK = 2**18


def correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Pearson's, over the seeds of complete pairs [K, S] -> [K]; 0 where either or their difference has no spread."""
    missing = np.isnan(first) | np.isnan(second)
    n = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    sides = [np.where(missing, 0.0, side) for side in (first, second)]
    a, b = (np.where(missing, 0.0, side - side.sum(axis=-1, keepdims=True) / n) for side in sides)
    squares, crossed = (a**2).sum(axis=-1) * (b**2).sum(axis=-1), (a * b).sum(axis=-1)
    spread = (squares > 0.0) & (((a - b) ** 2).sum(axis=-1) > ROUNDING**2 * np.sqrt(squares))
    found = np.divide(crossed, np.sqrt(squares), out=np.zeros_like(crossed), where=spread)
    bounded: FloatArray = np.clip(found, -1.0, 1.0)
    return bounded


def difference_interval(treated: Estimates, reference: Estimates, correlated: FloatArray) -> Estimates:
    """treated - reference, its interval made of those of both (the method of variance estimates recovery, Zou & Donner
    2008), with their correlation r over seeds:

    low = d - sqrt(l^2 + u^2 - 2 r l u), l how far the treated reaches down and u how far the reference reaches up;
    high likewise. Each end has the skewness of the two ends that it comes from. Of two intervals by Student's t this is
    the paired t interval.
    """
    difference = treated.estimate - reference.estimate
    down, up = treated.estimate - treated.low, treated.high - treated.estimate
    under, over = reference.estimate - reference.low, reference.high - reference.estimate
    below = np.sqrt(np.maximum(down**2 + over**2 - 2.0 * correlated * down * over, 0.0))
    above = np.sqrt(np.maximum(up**2 + under**2 - 2.0 * correlated * up * under, 0.0))
    return Estimates(estimate=difference, low=difference - below, high=difference + above, n=treated.n)


def log_ratio_interval(treated: Estimates, reference: Estimates, correlated: FloatArray) -> Estimates:
    """ln(treated / reference) of two positive means, its interval as that of `difference_interval` on the log scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [
            Estimates(estimate=np.log(mean.estimate), low=np.log(mean.low), high=np.log(mean.high), n=mean.n)
            for mean in (treated, reference)
        ]
        found = difference_interval(logs[0], logs[1], correlated)
    known = np.isfinite(found.estimate)
    return Estimates(
        estimate=np.where(known, found.estimate, np.nan),
        low=np.where(known, found.low, np.nan),
        high=np.where(known, found.high, np.nan),
        n=found.n,
    )


def sign_flip_p(
    differences: FloatArray, *, generator: np.random.Generator | None = None, draws: int = DRAWS
) -> FloatArray:
    """Two-sided p of "treated and reference are exchangeable within a seed", [K, S] -> [K]; NaN below two pairs.

    The share of the 2^S sign patterns whose |sum of signed differences| reaches the one observed. All are counted up
    to 20 seeds. Beyond, `draws` patterns come from `generator`, and p = (1 + reaching) / (1 + draws). A missing pair
    contributes zero under either sign and so leaves p alone.
    """
    seeds = differences.shape[-1]
    if seeds > EXACT_SEEDS and generator is None:
        raise ValueError(f"{seeds} seeds are more than the {EXACT_SEEDS} that are enumerated; give a generator")
    signed = np.nan_to_num(differences)
    scale = np.abs(signed).sum(axis=-1, keepdims=True)
    signed = np.divide(signed, scale, out=np.zeros_like(signed), where=scale > 0)
    p = np.ones(len(signed))
    rows = max(1, CHUNK >> (seeds - seeds // 2)) if seeds <= EXACT_SEEDS else max(1, CHUNK // draws)
    for start in range(0, len(signed), rows):
        part = signed[start : start + rows]
        if seeds <= EXACT_SEEDS:
            p[start : start + rows] = _enumerated(part)
        else:
            assert generator is not None
            p[start : start + rows] = _drawn(part, generator, draws)
    return np.where((~np.isnan(differences)).sum(axis=-1) > 1, p, np.nan)


def _enumerated(signed: FloatArray) -> FloatArray:
    """Counts patterns by meeting in the middle: each half's sums are listed, one list is sorted, and for every sum of
    the other a binary search counts its partners. The first sign is held, which halves the work by symmetry.

    Rows are scaled to sums within [-1, 1] and shifted 4 apart, so that one sorted list serves them all.
    """
    rows, seeds = signed.shape
    if seeds == 0:
        return np.ones(rows)
    middle = seeds - seeds // 2
    left = np.sort(_signed_sums(signed[:, 1:middle]) + signed[:, :1], axis=1)[:, ::-1]  # so that searches ascend
    right = np.sort(_signed_sums(signed[:, middle:]), axis=1)
    shift = 4.0 * np.arange(rows)[:, None]
    ladder = (right + shift).reshape(-1)
    reached = np.abs(signed.sum(axis=1, keepdims=True)) - ROUNDING
    width = right.shape[1]
    first = np.arange(rows)[:, None] * width
    above = first + width - np.searchsorted(ladder, shift + reached - left, side="left")
    below = np.searchsorted(ladder, shift - reached - left, side="right") - first
    # With nothing but zeros both tails hold every pattern.
    share: FloatArray = (above + below).sum(axis=1) / (left.shape[1] * width)
    return np.minimum(1.0, share)


def _signed_sums(values: FloatArray) -> FloatArray:
    sums = np.zeros((len(values), 1))
    for column in values.T:
        sums = np.concatenate([sums + column[:, None], sums - column[:, None]], axis=1)
    return sums


def _drawn(signed: FloatArray, generator: np.random.Generator, draws: int) -> FloatArray:
    signs = generator.integers(0, 2, size=(signed.shape[1], draws)) * 2.0 - 1.0
    reached = np.abs(signed.sum(axis=1, keepdims=True)) - ROUNDING
    share: FloatArray = (1 + (np.abs(signed @ signs) >= reached).sum(axis=1)) / (1 + draws)
    return share


def holm(p: FloatArray) -> FloatArray:
    """Holm's (1979) adjusted p values of one family; NaN are no members and stay NaN.

    With the m members sorted, max over j <= i of (m - j + 1) p(j), at most 1: below alpha exactly where Holm rejects.
    """
    adjusted = np.full(p.shape, np.nan)
    members = np.flatnonzero(~np.isnan(p))
    order = members[np.argsort(p[members], kind="stable")]
    steps = (len(order) - np.arange(len(order))) * p[order]
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
