"""The report's contrasts and answers, and the metrics for which each of them is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from actinium.paths import Cell
from actinium.questions import EPOCHS_TO_TARGET, Question, asked_pairs
from actinium.reference_cells import Pair, References
from actinium.report import Contrast, Interval
from actinium.statistics.contrasts import correlation, holm, log_ratio_interval, sign_flip_p
from actinium.statistics.convergence import TimesToTarget
from actinium.statistics.families import HEADLINES
from actinium.statistics.intervals import BoolArray, Estimates, FloatArray, IntArray, plain
from actinium.statistics.means import metric_contrast
from actinium.statistics.rates import time_interval
from actinium.statistics.replicates import Replicates
from actinium.study import DesignCell

AULC = "aulc"
EXPLORATORY = (
    "validation_accuracy",
    "psnr",
    "train_eval_gap",
    "born_dead_rate",
    "died_rate",
    "saturated_rate",
    "activation_rate",
    "effective_rank",
    "gradient_slope",
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the trials measured, and when they reached the target."""

    replicates: Replicates
    reached: TimesToTarget

    def values(self, metric: str) -> FloatArray:
        """One metric [C, S], times cut at the cell's own budget."""
        if metric == EPOCHS_TO_TARGET:
            return self.reached.restricted()
        return self.reached.aulc if metric == AULC else self.replicates.metric(metric)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """K comparisons of one metric, each averaged over its settings within the seed: what is compared and with what
    [K, S], at which seeds a trial `diverged` or `collapsed` [K, S], and which have nobody left, `lost` [K].

    For times, `budget` and `grid_variance` [K, 2] of both sides; elsewhere they are empty.
    """

    metric: str
    treated: FloatArray
    reference: FloatArray
    diverged: BoolArray
    collapsed: BoolArray
    lost: BoolArray
    budget: FloatArray
    grid_variance: FloatArray

    def without(self, seeds: BoolArray) -> "Compared":
        """Without these seeds [K, S]."""
        return replace(self, treated=np.where(seeds, np.nan, self.treated))

    def at(self, positions: IntArray) -> "Compared":
        """These comparisons of them."""
        columns = ("treated", "reference", "diverged", "collapsed", "lost")
        chosen = {name: getattr(self, name)[positions] for name in columns}
        if self.metric == EPOCHS_TO_TARGET:
            chosen |= {"budget": self.budget[positions], "grid_variance": self.grid_variance[positions]}
        return replace(self, **chosen)

    def estimates(self) -> Estimates:
        """The contrasts [K]; of times, the logarithm of the ratio of the RMST at the smaller of both budgets."""
        if self.metric != EPOCHS_TO_TARGET:
            return metric_contrast(self.metric, self.treated, self.reference)
        missing = np.isnan(self.treated) | np.isnan(self.reference)
        pair = [np.where(missing, np.nan, side) for side in (self.treated, self.reference)]
        means = [
            time_interval(side, self.budget, variance=variance)
            for side, variance in zip(pair, self.grid_variance.T, strict=True)
        ]
        return log_ratio_interval(means[0], means[1], correlation(pair[0], pair[1]))


def compared(metric: str, tests: Sequence[Sequence[Pair]], measured: Measured) -> Compared:
    """The sides of each test, from the pairs of cells that it averages over."""
    sides = [_Settings.of([[pair[side] for pair in pairs] for pairs in tests]) for side in (0, 1)]
    replicates, reached = measured.replicates, measured.reached
    if metric == EPOCHS_TO_TARGET:
        least = np.minimum(*(reached.budgets.epochs[side.cells] for side in sides))
        values = [side.mean(np.minimum(reached.times()[side.cells], least[:, None])) for side in sides]
        budget = sides[0].mean(least[:, None])[:, 0]
        variance = np.stack([side.variance(reached.grid_variance()) for side in sides], axis=1)
    else:
        values = [side.mean(measured.values(metric)[side.cells]) for side in sides]
        budget, variance = np.empty(0), np.empty((0, 2))
    return Compared(
        metric=metric,
        treated=values[0],
        reference=values[1],
        diverged=sides[0].any(replicates.diverged) | sides[1].any(replicates.diverged),
        collapsed=sides[0].any(replicates.collapsed) | sides[1].any(replicates.collapsed),
        lost=sides[0].any(replicates.lost()[:, None])[:, 0] | sides[1].any(replicates.lost()[:, None])[:, 0],
        budget=budget,
        grid_variance=variance,
    )


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """One side of K tests: `cells` [P], the cells of all their settings one after the other, and where each test's
    begin, `first` [K].
    """

    cells: IntArray
    first: IntArray

    @classmethod
    def of(cls, cells: Sequence[Sequence[int]]) -> "_Settings":
        counts = [len(own) for own in cells]
        first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        return cls(cells=np.array([cell for own in cells for cell in own], dtype=np.int64), first=first)

    def mean(self, values: FloatArray) -> FloatArray:
        """The mean over each test's settings, [P, S] -> [K, S]; NaN where one is missing."""
        found: FloatArray = np.add.reduceat(values, self.first, axis=0) / self._counts()[:, None]
        return found

    def variance(self, of_one: FloatArray) -> FloatArray:
        """That of a mean over each test's settings [K], from that of a single value [C]."""
        found: FloatArray = np.add.reduceat(of_one[self.cells], self.first) / self._counts() ** 2
        return found

    def any(self, flags: BoolArray) -> BoolArray:
        """Whether any setting of a test has the flag, [C, S] -> [K, S]."""
        found: BoolArray = np.logical_or.reduceat(flags[self.cells], self.first, axis=0)
        return found

    def _counts(self) -> FloatArray:
        return np.diff(np.append(self.first, len(self.cells))).astype(np.float64)


def contrasts(
    cells: Sequence[DesignCell],
    found: References,
    measured: Measured,
    listed: range,
    *,
    named: bool,
    generator: np.random.Generator,
) -> list[Contrast]:
    """Every cell against its reference cell, metric by metric; exploratory metrics where they were measured. Computed
    for all pairs, whose family Holm's correction is over, and given for the cells that are listed.

    Where the study has `named` its questions all of these are exploratory; else each headline metric is a family.
    """
    if not found.pairs:
        return []
    tests = [[pair] for pair in found.pairs]
    shown = np.array([k for k, (above, _) in enumerate(found.pairs) if above in listed], dtype=np.int64)
    labels = [(cells[found.pairs[k][0]].cell, cells[found.pairs[k][1]].cell) for k in shown]
    others = [name for name in EXPLORATORY if not np.isnan(measured.replicates.metric(name)).all()]
    rows: list[Contrast] = []
    for metric in (*HEADLINES, *others):
        sides = compared(metric, tests, measured)
        p = _p(sides, generator)
        family = metric in HEADLINES and not named
        adjusted = holm(p) if family else np.full(len(p), np.nan)
        rows += _rows(sides.at(shown), p[shown], adjusted[shown], labels, [1] * len(shown), confirmatory=family)
    return rows


def answers(
    questions: Sequence[Question],
    cells: Sequence[DesignCell],
    found: References,
    measured: Measured,
    *,
    generator: np.random.Generator,
) -> list[Contrast]:
    """The tests of the study's questions, corrected together."""
    resolved = [(cell.cell, cell.config) for cell in cells]
    asked: list[tuple[Compared, FloatArray, list[tuple[Cell, Cell]], list[int]]] = []
    for question in questions:
        tests = [pairs for pairs in asked_pairs(question, resolved, found) if pairs]
        if not tests:
            continue
        of_cells = [(cells[pairs[0][0]].cell, cells[pairs[0][1]].cell) for pairs in tests]
        labels = of_cells if question.contrast == "reference" else [question.sides()] * len(tests)
        sides = compared(question.metric, tests, measured)
        asked.append((sides, _p(sides, generator), labels, [len(pairs) for pairs in tests]))
    adjusted = holm(np.concatenate([p for _, p, _, _ in asked])) if asked else np.empty(0)
    rows: list[Contrast] = []
    for sides, p, labels, settings in asked:
        own = adjusted[len(rows) : len(rows) + len(p)]
        rows += _rows(sides, p, own, labels, settings, confirmatory=True)
    return rows


def _p(sides: Compared, generator: np.random.Generator) -> FloatArray:
    p = sign_flip_p(sides.treated - sides.reference, generator=generator)
    return np.where(sides.lost, np.nan, p)


def _rows(
    sides: Compared,
    p: FloatArray,
    adjusted: FloatArray,
    labels: Sequence[tuple[Cell, Cell]],
    settings: Sequence[int],
    *,
    confirmatory: bool,
) -> list[Contrast]:
    main = sides.without(np.broadcast_to(sides.lost[:, None], sides.diverged.shape)).estimates()
    alive, learned = (_sensitivity(sides, flags) for flags in (sides.diverged, sides.collapsed))
    diverged, collapsed = sides.diverged.sum(axis=1).tolist(), sides.collapsed.sum(axis=1).tolist()
    figures = (plain(main.estimate), plain(main.low), plain(main.high), main.n.tolist(), plain(p), plain(adjusted))
    return [
        Contrast(
            metric=sides.metric,
            scale="log_ratio" if sides.metric == EPOCHS_TO_TARGET else "difference",
            cell=labels[k][0],
            reference=labels[k][1],
            settings=settings[k],
            difference=estimate,
            low=low,
            high=high,
            n=n,
            p=raw,
            p_holm=corrected,
            confirmatory=confirmatory,
            diverged=diverged[k],
            collapsed=collapsed[k],
            without_diverged=alive.get(k),
            learned=learned.get(k),
        )
        for k, (estimate, low, high, n, raw, corrected) in enumerate(zip(*figures, strict=True))
    ]


def _sensitivity(sides: Compared, flags: BoolArray) -> dict[int, Interval]:
    """By position, the contrast without flagged seeds, for the comparisons that have one."""
    some = np.flatnonzero(flags.any(axis=1))
    if not len(some):
        return {}
    return dict(zip(some.tolist(), sides.without(flags).at(some).estimates().intervals(), strict=True))
