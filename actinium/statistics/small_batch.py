"""The `small_batch` of a report: what a shrinking batch costs under each normalization (SCIENCE D3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from actinium.levels import Normalization
from actinium.paths import Cell, FactorValue
from actinium.report import DegradationCurve, DegradationPoint, DifferenceInDifferences, SmallBatch
from actinium.statistics.contrasts import sign_flip_p
from actinium.statistics.degradation import area, degradation, difference_in_differences
from actinium.statistics.factorial_grid import FactorialGrid
from actinium.statistics.intervals import BoolArray, FloatArray, plain
from actinium.statistics.means import metric_interval, student_interval
from actinium.statistics.replicates import TEST_ERROR, Replicates
from actinium.study import DesignCell

BATCH_SIZE = "training.batch_size"
CONTROL = "group"
"""The normalization that others are compared with: its statistics do not depend on the batch."""


@dataclass(frozen=True, kw_only=True)
class BatchErrors:
    """`error` [N, B, S] by normalization, batch size (ascending) and seed, other factors averaged within the seed.

    `run` [N, B]: whether the design has the combination. The error is NaN where a trial that enters the average is
    missing or did not learn, and `collapsed` [N, B, S] says where that is why. `left_out`: cells that did not learn, of
    which no average is made.
    """

    normalizations: tuple[FactorValue, ...]
    names: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    run: BoolArray
    error: FloatArray
    collapsed: BoolArray
    left_out: tuple[Cell, ...]


def batch_errors(
    span: FactorialGrid, cells: Sequence[DesignCell], replicates: Replicates, *, activation: FactorValue | None = None
) -> BatchErrors:
    """Of all the study's cells, or of those with one activation.

    The average goes over those settings of the other factors that every normalization has at every batch size at which
    it is run, so that it is over the same settings everywhere. A cell that did not learn, of which at least half of the
    trials collapsed, is averaged with no other: its error is that of chance, whatever the batch.
    """
    first: dict[Normalization, int] = {}
    settings = _settings(span, cells, first, activation)
    places = sorted({place for setting in settings for place in setting})
    batches = sorted({batch for _, batch in places})
    complete = [setting for setting in settings if all(place in setting for place in places)]
    failed = 2 * replicates.collapsed.sum(axis=1) >= np.maximum(replicates.succeeded, 1)
    left_out: list[int] = []
    shape = (len(first), len(batches), replicates.diverged.shape[1])
    error, collapsed, run = np.full(shape, np.nan), np.zeros(shape, dtype=bool), np.zeros(shape[:2], dtype=bool)
    values = np.where(replicates.collapsed, np.nan, replicates.metric(TEST_ERROR))
    for n, batch in places if complete else []:
        b = batches.index(batch)
        run[n, b] = True
        positions = [setting[n, batch] for setting in complete]
        collapsed[n, b] = replicates.collapsed[positions].any(axis=0)
        if len(positions) > 1 and failed[positions].any():
            left_out += np.array(positions)[failed[positions]].tolist()
        else:
            error[n, b] = values[positions].mean(axis=0)
    return BatchErrors(
        normalizations=tuple(normalization.compact() for normalization in first),
        names=tuple(normalization.name for normalization in first),
        batch_sizes=tuple(batches),
        run=run,
        error=error,
        collapsed=collapsed,
        left_out=tuple(cells[position].cell for position in left_out),
    )


Setting: TypeAlias = dict[tuple[int, int], int]
"""The cells of one setting of the other factors, by normalization (its number) and batch size."""


def _settings(
    span: FactorialGrid, cells: Sequence[DesignCell], first: dict[Normalization, int], activation: FactorValue | None
) -> list[Setting]:
    """The settings of the other factors, and into `first` the normalizations with their numbers."""
    others = [k for k, path in enumerate(span.paths) if path != BATCH_SIZE and path.split(".")[0] != "normalization"]
    found: dict[tuple[int, ...], Setting] = {}
    for levels, position in zip(span.levels[:, others].tolist(), span.positions, strict=True):
        config = cells[position].config
        if activation is not None and config.activation.compact() != activation:
            continue
        number = first.setdefault(config.normalization, len(first))
        found.setdefault(tuple(levels), {})[number, config.training.batch_size] = position
    return list(found.values())


def small_batch(
    span: FactorialGrid, cells: Sequence[DesignCell], replicates: Replicates, *, generator: np.random.Generator
) -> SmallBatch | None:
    """None where the batch size is no factor."""
    if BATCH_SIZE not in span.paths or not span.positions:
        return None
    errors = batch_errors(span, cells, replicates)
    common = np.flatnonzero(errors.run.all(axis=0)).tolist()
    area_batches = tuple(errors.batch_sizes[b] for b in common) if len(common) > 1 else ()
    levels = {str(level): level for level in (cells[i].config.activation.compact() for i in span.positions)}
    apart = {name: batch_errors(span, cells, replicates, activation=level) for name, level in levels.items()}
    by_activation = (curve for name, own in apart.items() for curve in _curves(own, levels[name], area_batches))
    return SmallBatch(
        metric=TEST_ERROR,
        reference_batch=errors.batch_sizes[-1],
        estimand=_estimand(cells[position] for position in span.positions),
        area_batches=area_batches,
        left_out=errors.left_out,
        curves=tuple(_curves(errors, None, area_batches)),
        by_activation=tuple(by_activation) if len(levels) > 1 else (),
        difference_in_differences=tuple(
            entry for name, own in apart.items() for entry in _against_control(own, levels[name], generator)
        ),
    )


def _curves(errors: BatchErrors, activation: FactorValue, area_batches: tuple[int, ...]) -> Iterator[DegradationCurve]:
    """That of each normalization, its area over `area_batches`."""
    delta = degradation(errors.error, len(errors.batch_sizes) - 1)
    common = [b for b, size in enumerate(errors.batch_sizes) if size in area_batches]
    sizes = np.array(errors.batch_sizes, dtype=np.float64)[common]
    areas = student_interval(area(delta[:, common], sizes)).intervals()
    for normalization, points, total in zip(errors.normalizations, _points(errors, delta), areas, strict=True):
        yield DegradationCurve(normalization=normalization, activation=activation, points=points, area=total)


def _points(errors: BatchErrors, delta: FloatArray) -> Iterator[tuple[DegradationPoint, ...]]:
    """Those of each normalization."""
    levels, worse = (
        metric_interval(TEST_ERROR, errors.error).intervals(),
        student_interval(delta, low=-1.0, high=1.0).intervals(),
    )
    lost = errors.collapsed.sum(axis=-1)
    for n, row in enumerate(errors.run):
        yield tuple(
            DegradationPoint(
                batch_size=errors.batch_sizes[b],
                error=levels[n * len(errors.batch_sizes) + b],
                degradation=worse[n * len(errors.batch_sizes) + b],
                collapsed=int(lost[n, b]),
            )
            for b in np.flatnonzero(row).tolist()
        )


def _against_control(
    errors: BatchErrors, activation: FactorValue, generator: np.random.Generator
) -> Iterator[DifferenceInDifferences]:
    """Of one activation: one under which a cell fails is not averaged with others."""
    if CONTROL not in errors.names:
        return
    control = errors.names.index(CONTROL)
    delta = degradation(errors.error, len(errors.batch_sizes) - 1)
    lost = errors.collapsed | errors.collapsed[:, -1:]
    for n, normalization in enumerate(errors.normalizations):
        if n == control or not (errors.run[n, -1] and errors.run[control, -1]):
            continue
        batches = np.flatnonzero(errors.run[n, :-1] & errors.run[control, :-1])
        difference = difference_in_differences(delta[n, batches], delta[control, batches])
        p = plain(sign_flip_p(difference, generator=generator))
        left_out = (lost[n, batches] | lost[control, batches]).sum(axis=-1).tolist()
        means = student_interval(difference, low=-2.0, high=2.0).intervals()
        for b, mean, value, gone in zip(batches.tolist(), means, p, left_out, strict=True):
            yield DifferenceInDifferences(
                normalization=normalization,
                activation=activation,
                reference=errors.normalizations[control],
                batch_size=errors.batch_sizes[b],
                estimate=mean.estimate,
                low=mean.low,
                high=mean.high,
                n=mean.n,
                p=value,
                collapsed=gone,
            )


def _estimand(cells: Iterable[DesignCell]) -> str:
    """`linear`: the learning rate shrinks with the batch; `fixed`: it does not; `mixed`: averaged over both."""
    rules: set[str] = {cell.config.training.learning_rate_rule for cell in cells}
    return rules.pop() if len(rules) == 1 else "mixed"
