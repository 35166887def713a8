"""How often the report's 95% intervals hold the truth: simulated studies whose truth is known.

`python tests/interval_coverage.py [REPETITIONS]` prints the table of docs/decisions/0042. A process says how a trial's
value comes about from a number between 0 and 1, its rank among seeds; paired cells share a part of the rank.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from actinium.statistics.contrasts import correlation, log_ratio_interval
from actinium.statistics.intervals import Estimates, FloatArray, mean_interval, wilson_interval
from actinium.statistics.means import metric_contrast, metric_interval, student_interval
from actinium.statistics.rates import time_interval

SEEDS = (6, 10, 20)
RANKS = np.linspace(0.0, 1.0, 20_001)[1:-1]
POPULATION = 400_000

Ranked = Callable[[FloatArray], FloatArray]
"""A trial's value by its rank among seeds."""


def beta(mean: float, precision: float, *, units: int = 0) -> Ranked:
    """A rate with a beta distribution between seeds; of so many `units`, to which it happens one by one."""
    quantiles = stats.beta(mean * precision, (1.0 - mean) * precision).ppf(RANKS)

    def value(rank: FloatArray) -> FloatArray:
        rate = np.interp(rank, RANKS, quantiles)
        if not units:
            return rate
        inner = np.random.default_rng(units).random(rate.shape)
        found: FloatArray = stats.binom.ppf(inner, units, rate) / units
        return found

    return value


def lognormal(mean: float, sigma: float) -> Ranked:
    """A rate, at most 1, whose logarithm has a normal distribution between seeds."""
    return lambda rank: np.minimum(1.0, mean * np.exp(sigma * special.ndtri(rank) - sigma**2 / 2.0))


def normal(mean: float, deviation: float) -> Ranked:
    """A value with a normal distribution between seeds."""
    return lambda rank: mean + deviation * special.ndtri(rank)


def some(share: float, value: float) -> Ranked:
    """`value` in a share of seeds, 0 in the others."""
    return lambda rank: np.where(rank > 1.0 - share, value, 0.0)


def never(rank: FloatArray) -> FloatArray:
    """Nothing happens in any seed."""
    return np.zeros_like(rank)


def arrival(sigma: float, censored: float) -> Ranked:
    """A time with a lognormal distribution, as a share of a budget by which that share of trials has not arrived."""
    last = special.ndtri(1.0 - censored) if censored else 4.0
    return lambda rank: np.minimum(1.0, np.exp(sigma * (special.ndtri(rank) - last)))


def ranks(generator: np.random.Generator, *, repetitions: int, seeds: int, cells: int, shared: float) -> FloatArray:
    """Ranks [cells, repetitions, seeds] whose normal scores have the correlation `shared` between cells."""
    common = np.sqrt(shared) * generator.normal(size=(1, repetitions, seeds))
    own = np.sqrt(1.0 - shared) * generator.normal(size=(cells, repetitions, seeds))
    found: FloatArray = special.ndtr(common + own)
    return found


@dataclass(frozen=True, kw_only=True)
class Case:
    """A process in words, its cells, what the product makes of them and what Student's t would, and the truth.

    `least` and `most`: what the coverage may be, in percent; wider where only a cautious interval can hold what few
    seeds do not show. `given`: of which draws the coverage is counted.
    """

    words: str
    cells: tuple[Ranked, ...]
    interval: Callable[..., Estimates]
    student: Callable[..., Estimates]
    target: Callable[..., float]
    shared: float = 0.0
    least: float = 93.0
    most: float = 97.0
    given: Callable[..., np.ndarray] | None = None

    def truth(self) -> float:
        """By a population of seeds; the same at every call."""
        drawn = ranks(
            np.random.default_rng(1), repetitions=1, seeds=POPULATION, cells=len(self.cells), shared=self.shared
        )
        return self.target(*(cell(rank) for cell, rank in zip(self.cells, drawn, strict=True)))


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """In percent, of the product's intervals and of Student's; the product's median width, and how many had none."""

    product: float
    student: float
    width: float
    without_width: int


def coverage(case: Case, *, seeds: int, repetitions: int, truth: float) -> Coverage:
    """Of so many simulated samples of so many seeds."""
    generator = np.random.default_rng(seeds)
    drawn = ranks(generator, repetitions=repetitions, seeds=seeds, cells=len(case.cells), shared=case.shared)
    values = [cell(rank) for cell, rank in zip(case.cells, drawn, strict=True)]
    if case.given is not None:
        kept = case.given(*values)
        values = [side[kept] for side in values]
    found, old = case.interval(*values), case.student(*values)

    def held(of: Estimates) -> float:
        known = ~np.isnan(of.low)
        return 100.0 * float(((of.low[known] <= truth + 1e-12) & (truth - 1e-12 <= of.high[known])).mean())

    width = found.high - found.low
    return Coverage(
        product=held(found),
        student=held(old),
        width=float(np.nanmedian(width)),
        without_width=int((width <= 0.0).sum()),
    )


def mean(values: FloatArray) -> float:
    """Over a population."""
    return float(np.nanmean(values))


def difference(treated: FloatArray, reference: FloatArray) -> float:
    """Of the means over a population."""
    return float(np.mean(treated) - np.mean(reference))


def cells_of(metric: str, words: str, cell: Ranked, **figures: float) -> Case:
    """One cell's mean."""
    return Case(
        words=words,
        cells=(cell,),
        interval=lambda values: metric_interval(metric, values),
        student=mean_interval,
        target=mean,
        **figures,
    )


def pairs_of(metric: str, words: str, treated: Ranked, reference: Ranked, shared: float, **figures: float) -> Case:
    """Two cells' difference, paired by seed."""
    return Case(
        words=f"{words}, r {shared:g}",
        cells=(treated, reference),
        interval=lambda above, below: metric_contrast(metric, above, below),
        student=lambda above, below: mean_interval(above - below),
        target=difference,
        shared=shared,
        **figures,
    )


def rates() -> Iterator[Case]:
    """Dead units of one cell."""

    def of(words: str, cell: Ranked, most: float = 100.0) -> Case:
        return cells_of("dead_unit_rate", f"rate {words}", cell, most=most)

    yield of(".002 of 256 units, one by one", lambda rank: stats.binom.ppf(rank, 256, 0.002) / 256)
    yield of(".002 of 256 units, beta 50", beta(0.002, 50.0, units=256))
    yield of(".002, beta 50", beta(0.002, 50.0))
    yield of(".01 of 256 units, one by one", lambda rank: stats.binom.ppf(rank, 256, 0.01) / 256)
    yield of(".01 of 256 units, beta 50", beta(0.01, 50.0, units=256))
    yield of(".01 skewed, beta 4", beta(0.01, 4.0))
    yield of(".01 skewed, lognormal 1.5", lognormal(0.01, 1.5))
    yield of(".05, beta 50", beta(0.05, 50.0))
    yield of(".05 skewed, beta 10", beta(0.05, 10.0))
    yield of(".05 skewed, beta 4", beta(0.05, 4.0))
    yield of(".05 skewed, lognormal 1", lognormal(0.05, 1.0))
    yield of(".2, beta 10", beta(0.2, 10.0))
    yield of(".2 scattered, beta 1", beta(0.2, 1.0))
    yield of(".42 of 256 units, beta 300", beta(0.42, 300.0, units=256), most=97.0)
    yield of(".5 scattered, beta 1", beta(0.5, 1.0))
    yield of(".97, beta 50", beta(0.97, 50.0))
    yield of(".1 in one seed of ten", some(0.1, 0.1))
    yield of(".1 in three seeds of ten", some(0.3, 0.1))
    yield cells_of("network_constant", "one network in five constant", some(0.2, 1.0), least=90.0, most=100.0)


def errors() -> Iterator[Case]:
    """Test errors and losses of one cell, of networks that learned."""
    yield cells_of("test_error", "error .04", normal(0.04, 0.005))
    yield cells_of("test_error", "error .2", normal(0.2, 0.03))
    yield cells_of(
        "test_error", "error .005 of 360 examples", lambda rank: stats.binom.ppf(rank, 360, 0.005) / 360, most=98.0
    )
    yield cells_of("test_error", "error .9 in every seed", lambda rank: np.full_like(rank, 0.9), most=100.0)
    yield cells_of("validation_loss", "loss .3, deviation .05", normal(0.3, 0.05))
    yield cells_of("validation_loss", "loss, lognormal .3", lognormal(0.3, 0.3), least=92.0)
    yield cells_of("aulc", "area under the curve .2", beta(0.2, 100.0))


def collapsing() -> Iterator[Case]:
    """Cells of which one trial in eight collapses: the share, the mean of the others, and the mean of all where a
    collapse was seen.
    """
    alive, failed = normal(0.04, 0.01), 0.9

    def cell(share: float) -> Ranked:
        return lambda rank: np.where(rank > 1.0 - share, failed, alive(np.minimum(rank / (1.0 - share), 1.0 - 1e-9)))

    def learned(*sides: FloatArray) -> list[FloatArray]:
        lost = np.any([side > 0.5 for side in sides], axis=0)
        return [np.where(lost, np.nan, side) for side in sides]

    for share in (0.125, 0.3):
        one = cell(share)
        yield Case(
            words=f"{share:g} collapse: share of seeds",
            cells=(one,),
            interval=lambda v: wilson_interval((v > 0.5).sum(axis=-1), np.full(len(v), v.shape[-1])),
            student=lambda v: mean_interval((v > 0.5).astype(np.float64)),
            target=lambda v: float((v > 0.5).mean()),
            least=89.0,
            most=99.5,
        )
        yield Case(
            words=f"{share:g} collapse: mean of the others",
            cells=(one,),
            interval=lambda v: metric_interval("test_error", *learned(v)),
            student=mean_interval,
            target=lambda v: mean(*learned(v)),
        )
        yield Case(
            words=f"{share:g} collapse: mean of all, a collapse seen",
            cells=(one,),
            interval=lambda v: metric_interval("test_error", v),
            student=mean_interval,
            target=mean,
            given=lambda v: (v > 0.5).any(axis=-1),
            most=100.0,
            least=92.0,
        )

    def change(*sides: FloatArray) -> FloatArray:
        a, b, c, d = learned(*sides)
        return (a - b) - (c - d)

    yield Case(
        words="difference in differences, .15 collapse",
        cells=(cell(0.04), cell(0.04), cell(0.04), cell(0.04)),
        shared=0.5,
        interval=lambda *sides: student_interval(change(*sides)),
        student=lambda a, b, c, d: mean_interval((a - b) - (c - d)),
        target=lambda *sides: mean(change(*sides)),
        least=92.5,
    )
    yield Case(
        words="difference of errors, .125 collapse, of pairs that learned",
        cells=(cell(0.125), cell(0.125)),
        shared=0.5,
        interval=lambda *sides: metric_contrast("test_error", *learned(*sides)),
        student=lambda a, b: mean_interval(a - b),
        target=lambda *sides: mean(np.subtract(*learned(*sides))),
    )


def times() -> Iterator[Case]:
    """Restricted mean times of cells of which some trials do not arrive, and their ratios."""

    def restricted(values: FloatArray) -> Estimates:
        return time_interval(values, np.ones(len(values)))

    for sigma in (0.2, 0.5, 1.0):
        for censored in (0.0, 0.2, 0.43, 0.7, 0.9, 0.97):
            if sigma == 1.0 and censored == 0.0:
                continue  # a budget of fifty medians
            yield Case(
                words=f"time, sigma {sigma:g}, {censored:.0%} censored",
                cells=(arrival(sigma, censored),),
                interval=restricted,
                student=mean_interval,
                target=mean,
                most=97.0 if censored == 0.0 else 100.0,
                least=92.5 if censored == 0.0 else 93.0,
            )

    def log_ratio(above: FloatArray, below: FloatArray) -> Estimates:
        return log_ratio_interval(restricted(above), restricted(below), correlation(above, below))

    def linearized(above: FloatArray, below: FloatArray) -> Estimates:
        means = [side.mean(axis=-1, keepdims=True) for side in (above, below)]
        spread = mean_interval(above / means[0] - below / means[1])
        ratio = np.log(means[0] / means[1])[:, 0]
        return Estimates(estimate=ratio, low=ratio + spread.low, high=ratio + spread.high, n=spread.n)

    for sigma in (0.2, 0.5, 1.0):
        for above, below in ((0.0, 0.0), (0.43, 0.1), (0.9, 0.43), (0.97, 0.9)):
            yield Case(
                words=f"log ratio of times, sigma {sigma:g}, {above:.0%} and {below:.0%} censored",
                cells=(arrival(sigma, above), arrival(sigma, below)),
                shared=0.5,
                interval=log_ratio,
                student=linearized,
                target=lambda a, b: float(np.log(a.mean() / b.mean())),
                most=100.0,
            )


def contrasts() -> Iterator[Case]:
    """Differences of two cells, paired by seed."""
    for shared in (0.0, 0.6):
        yield pairs_of("test_error", "error .045 - .04", normal(0.045, 0.005), normal(0.04, 0.005), shared)
        yield pairs_of("validation_loss", "loss .35 - .3", normal(0.35, 0.05), normal(0.3, 0.05), shared)

        def rate(words: str, treated: Ranked, reference: Ranked, shared: float = shared) -> Case:
            return pairs_of("dead_unit_rate", f"rate {words}", treated, reference, shared, most=100.0)

        yield rate(".42 - 0", beta(0.42, 200.0, units=256), never)
        yield rate(".42 - .01 skewed", beta(0.42, 200.0), beta(0.01, 4.0))
        yield rate(".2 - .05", beta(0.2, 10.0), beta(0.05, 10.0))
        yield rate(".05 skewed - .01 skewed", beta(0.05, 4.0), beta(0.01, 4.0))
        yield rate(".05 skewed - 0", beta(0.05, 4.0), never)
        yield rate(".01 skewed - .01 skewed", beta(0.01, 4.0), beta(0.01, 4.0))
        yield rate(".002 - .002", beta(0.002, 50.0), beta(0.002, 50.0))
        yield rate(".05 - .03 lognormal", lognormal(0.05, 1.0), lognormal(0.03, 1.0))
        yield rate(".5 - .5 scattered", beta(0.5, 5.0), beta(0.5, 5.0))
        yield rate(".1 in one seed of ten - 0", some(0.1, 0.1), never)


def cases() -> list[Case]:
    """All of them."""
    return [*rates(), *errors(), *collapsing(), *times(), *contrasts()]


def main(repetitions: int) -> None:
    """The table, in Markdown."""
    sys.stdout.write("| process | Student's t, 6 / 10 / 20 seeds | the report | median width at 6 / 10 / 20 |\n")
    sys.stdout.write("|---|---|---|---|\n")
    for case in cases():
        truth = case.truth()
        found = [coverage(case, seeds=seeds, repetitions=repetitions, truth=truth) for seeds in SEEDS]
        student, product = (" / ".join(f"{getattr(one, side):.0f}" for one in found) for side in ("student", "product"))
        widths = " / ".join(f"{one.width:.3g}" for one in found)
        sys.stdout.write(f"| {case.words} | {student} | {product} | {widths} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
