"""What share of a metric's variance each factor explains: omega squared with its bootstrap interval (SCIENCE D6).

The model is a factorial in blocks, y = mu + A + N + I + AN + AI + NI + ANI + seed + e: every cell runs with every
seed, the seed is the block, and cell x seed is the error.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from actinium.statistics.intervals import FloatArray, IntArray, student_quantile

RESAMPLES = 500
SEEDS_FOR_INTERVAL = 6
"""With fewer the bootstrap has too little to resample: at three seeds its intervals cover as little as 72%."""
FULL_ORDER = 3
"""Up to this many factors every interaction is shown; with more, only those of two factors."""

Term = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A main effect (one factor) or an interaction: which factors (their numbers), and its omega squared."""

    term: Term
    omega_squared: float
    low: float
    high: float
    seeds: int
    cells: int
    balanced: bool


def complete_block(values: FloatArray) -> tuple[IntArray, IntArray]:
    """Which cells and seeds of [C, S] are analysed: cells with any value, then seeds at which all of those have one."""
    present = ~np.isnan(values)
    cells = np.flatnonzero(present.any(axis=1))
    seeds = np.flatnonzero(present[cells].all(axis=0)) if len(cells) else np.empty(0, dtype=np.int64)
    return cells, seeds


def effects(
    values: FloatArray, levels: IntArray, *, generator: np.random.Generator, resolution: float = 0.0
) -> list[Effect]:
    """Omega squared of every term, from values [C, S] and each cell's level of each factor [C, K].

    omega^2 = (SS - df MS_error) / (SS_total + MS_error), where MS_error is that of cell x seed; below 0 it is shown
    as 0. In a full grid the sums of squares are the classical, orthogonal ones. Where cells are missing they are of
    Type II: what a term explains beyond all terms that do not contain it, among main effects and interactions of
    two. The interval resamples seeds (see `_centred`). Empty below two complete seeds or two cells. `resolution`: the
    variance with which a single value is known; MS_error is at least that.
    """
    cells, seeds = complete_block(values)
    if len(cells) < 2 or len(seeds) < 2:
        return []
    block = values[np.ix_(cells, seeds)]
    codes = np.stack([np.unique(column, return_inverse=True)[1] for column in levels[cells].T], axis=1)
    shape = tuple(int(column.max()) + 1 for column in codes.T)
    balanced = len(cells) == np.prod(shape)
    count = len(seeds)
    draws = generator.multinomial(count, np.full(count, 1.0 / count), size=RESAMPLES).T
    weights = np.concatenate([np.ones((count, 1)), draws], axis=1)  # column 0 is the sample itself
    centred = block - block.mean()
    means = centred @ weights / count
    total, error = _block_squares(centred, means, weights)
    error = np.maximum(error, resolution)
    found = []
    squares = _orthogonal(means, codes, shape) if balanced else _type_two(means, codes, shape)
    for term, degrees, square in squares:
        with np.errstate(divide="ignore", invalid="ignore"):
            omega = (count * square - degrees * error) / (total + error)
        if not np.isfinite(omega[0]):
            continue
        low, high = _centred(omega, count)
        found.append(
            Effect(
                term=term,
                omega_squared=max(0.0, float(omega[0])),
                low=low,
                high=high,
                seeds=count,
                cells=len(cells),
                balanced=bool(balanced),
            )
        )
    return found


def terms(factors: int, order: int) -> list[Term]:
    """Main effects, then interactions up to `order` factors."""
    return [term for size in range(1, order + 1) for term in itertools.combinations(range(factors), size)]


def _block_squares(centred: FloatArray, means: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Total sum of squares and cell x seed mean square, a column a resample, [R]."""
    cells, count = centred.shape
    grand = means.mean(axis=0)
    total = (centred**2).sum(axis=0) @ weights - cells * count * grand**2
    of_cells = count * ((means - grand) ** 2).sum(axis=0)
    of_seeds = cells * ((centred.mean(axis=0)[:, None] - grand) ** 2 * weights).sum(axis=0)
    error = np.maximum(total - of_cells - of_seeds, 0.0) / ((cells - 1) * (count - 1))
    return total, error


def _orthogonal(means: FloatArray, codes: IntArray, shape: tuple[int, ...]) -> list[tuple[Term, int, FloatArray]]:
    """(term, df, sum over cells of its squared effect [R]) in a full grid, by marginal means."""
    tensor = np.empty((*shape, means.shape[1]))
    tensor[tuple(codes.T)] = means
    found = []
    for term in terms(len(shape), len(shape) if len(shape) <= FULL_ORDER else 2):
        degrees = int(np.prod([shape[axis] - 1 for axis in term]))
        if degrees == 0:
            continue
        others = tuple(axis for axis in range(len(shape)) if axis not in term)
        effect = tensor.mean(axis=others, keepdims=True)
        for axis in term:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        repeats = np.prod([shape[axis] for axis in others]) if others else 1.0
        found.append((term, degrees, repeats * (effect**2).sum(axis=tuple(range(len(shape))))))
    return found


def _type_two(means: FloatArray, codes: IntArray, shape: tuple[int, ...]) -> list[tuple[Term, int, FloatArray]]:
    """(term, df, its sum of squares over cells [R]) where cells are missing, by projections; df 0 is left out."""
    every = terms(len(shape), min(2, len(shape)))
    columns = {term: _indicators(codes[:, term], tuple(shape[axis] for axis in term)) for term in every}
    constant = np.ones((len(codes), 1))
    found = []
    for term in every:
        rest = [columns[other] for other in every if not set(term) <= set(other)]
        base = _basis(np.concatenate([constant, *rest], axis=1))
        own = _basis(columns[term] - base @ (base.T @ columns[term]))
        if own.shape[1]:
            found.append((term, own.shape[1], ((own.T @ means) ** 2).sum(axis=0)))
    return found


def _indicators(codes: IntArray, shape: Sequence[int]) -> FloatArray:
    combined = np.ravel_multi_index(tuple(codes.T), tuple(shape))
    _, position = np.unique(combined, return_inverse=True)
    return np.eye(int(position.max()) + 1)[position]


def _basis(columns: FloatArray) -> FloatArray:
    """An orthonormal basis of the columns' span; indicator counts are whole, so a small eigenvalue is a zero."""
    values, vectors = np.linalg.eigh(columns.T @ columns)
    kept = values > 1e-8 * max(1.0, float(values[-1]))
    basis: FloatArray = columns @ vectors[:, kept] / np.sqrt(values[kept])
    return basis


def _centred(omega: FloatArray, seeds: int) -> tuple[float, float]:
    """Percentiles of the resamples about their own mean, laid about the estimate omega[0]; within [0, 1]. NaN below six
    seeds, and where the resamples do not differ.

    A resample adds the seeds' noise to the cells' means a second time, so resampled values sit too high, and plain
    percentiles would exclude 0 for a factor that does nothing. The percentiles are expanded for few seeds, to
    Phi(-sqrt(S / (S - 1)) t(S - 1)) and its mirror (Hesterberg 2015).
    """
    resampled = omega[1:][np.isfinite(omega[1:])]
    nothing = float("nan"), float("nan")
    if seeds < SEEDS_FOR_INTERVAL or not len(resampled):
        return nothing
    tail = special.ndtr(-np.sqrt(seeds / (seeds - 1)) * student_quantile(np.array(seeds - 1)))
    tails = np.quantile(resampled - resampled.mean(), [tail, 1.0 - tail])
    low, high = np.clip(omega[0] + tails, 0.0, 1.0).tolist()
    return (low, high) if high > low else nothing
