"""Contrasts paired by seed: their intervals, exact p values, and Holm's correction (SCIENCE D6).

K contrasts, S seeds; NaN where a pair is incomplete.
"""

import numpy as np

from actinium.statistics.intervals import Estimates, FloatArray, mean_interval

EXACT_SEEDS = 20
"""Up to this many seeds every one of the 2^S sign patterns is counted; beyond, patterns are drawn."""

DRAWS = 9_999
ROUNDING = 1e-9
"""Sums that differ by less, as a share of the sum of absolute differences, are ties."""

CHUNK = 2**18


def paired_difference(treated: FloatArray, reference: FloatArray) -> Estimates:
    """Mean of treated - reference over seeds, [K, S] -> [K], with the paired t interval."""
    return mean_interval(treated - reference)


def paired_log_ratio(treated: FloatArray, reference: FloatArray) -> Estimates:
    """log(mean treated / mean reference) over complete pairs, [K, S] -> [K], for positive means.

    The interval is the paired t interval of the linearization u_s = treated_s / mean treated - reference_s / mean
    reference (delta method): the logarithm of a ratio of means, not a mean of logarithms of single trials.
    """
    missing = np.isnan(treated) | np.isnan(reference)
    above = mean_interval(np.where(missing, np.nan, treated))
    below = mean_interval(np.where(missing, np.nan, reference))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(above.estimate / below.estimate)
        influence = treated / above.estimate[:, None] - reference / below.estimate[:, None]
    ratio = np.where(np.isfinite(ratio), ratio, np.nan)
    spread = mean_interval(influence)
    half = np.where(np.isnan(ratio), np.nan, (spread.high - spread.low) / 2.0)
    return Estimates(estimate=ratio, low=ratio - half, high=ratio + half, n=above.n)


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
