"""The `small_batch` of a report: what a shrinking batch costs under each normalization (SCIENCE D3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from actinium.levels import Normalization
from actinium.paths import FactorValue
from actinium.report import DegradationCurve, DegradationPoint, DifferenceInDifferences, SmallBatch
from actinium.statistics.contrasts import sign_flip_p
from actinium.statistics.degradation import area, degradation, difference_in_differences
from actinium.statistics.intervals import BoolArray, FloatArray, bounded_interval, mean_interval, plain
from actinium.statistics.references import FactorialGrid
from actinium.study import DesignCell

BATCH_SIZE = "training.batch_size"
METRIC = "test_error"
CONTROL = "group"
"""The normalization that others are compared with: its statistics do not depend on the batch."""


@dataclass(frozen=True, kw_only=True)
class BatchErrors:
    """`error` [N, B, S] by normalization, batch size (ascending) and seed, other factors averaged within the seed.

    `run` [N, B]: whether the design has the combination. NaN where any trial that enters the average is missing.
    """

    normalizations: tuple[FactorValue, ...]
    names: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    run: BoolArray
    error: FloatArray


def batch_errors(span: FactorialGrid, cells: Sequence[DesignCell], error: FloatArray) -> BatchErrors:
    """From errors [C, S] of the study's cells. The average goes over those settings of the other factors that every
    normalization has at every batch size at which it is run, so that it is over the same settings everywhere.
    """
    others = [k for k, path in enumerate(span.paths) if path != BATCH_SIZE and path.split(".")[0] != "normalization"]
    settings = [tuple(row) for row in span.levels[:, others].tolist()]
    first: dict[Normalization, int] = {}
    place: dict[tuple[int, int], dict[tuple[int, ...], int]] = {}
    for setting, position in zip(settings, span.positions, strict=True):
        config = cells[position].config
        number = first.setdefault(config.normalization, len(first))
        place.setdefault((number, config.training.batch_size), {})[setting] = position
    batches = sorted({batch for _, batch in place})
    common = set.intersection(*(set(cells_at) for cells_at in place.values()))
    table = np.full((len(first), len(batches), error.shape[1]), np.nan)
    run = np.zeros(table.shape[:2], dtype=bool)
    for n in range(len(first)):
        for b, batch in enumerate(batches):
            positions = [i for setting, i in place.get((n, batch), {}).items() if setting in common]
            if positions:
                run[n, b] = True
                table[n, b] = error[positions].mean(axis=0)
    return BatchErrors(
        normalizations=tuple(normalization.compact() for normalization in first),
        names=tuple(normalization.name for normalization in first),
        batch_sizes=tuple(batches),
        run=run,
        error=table,
    )


def small_batch(
    span: FactorialGrid, cells: Sequence[DesignCell], error: FloatArray, *, generator: np.random.Generator
) -> SmallBatch | None:
    """From the test error [C, S] of the study's cells; None where the batch size is no factor."""
    if BATCH_SIZE not in span.paths or not span.positions:
        return None
    errors = batch_errors(span, cells, error)
    reference = len(errors.batch_sizes) - 1
    delta = degradation(errors.error, reference)
    levels = bounded_interval(errors.error, low=0.0, high=1.0).intervals()
    worse = mean_interval(delta).intervals()
    curves = []
    for n, normalization in enumerate(errors.normalizations):
        run = np.flatnonzero(errors.run[n])
        sizes = np.array(errors.batch_sizes)[run]
        points = tuple(
            DegradationPoint(
                batch_size=errors.batch_sizes[b],
                error=levels[n * len(errors.batch_sizes) + b],
                degradation=worse[n * len(errors.batch_sizes) + b],
            )
            for b in run.tolist()
        )
        total = mean_interval(area(delta[n, run], sizes.astype(np.float64))).interval()
        curves.append(DegradationCurve(normalization=normalization, points=points, area=total))
    return SmallBatch(
        metric=METRIC,
        reference_batch=errors.batch_sizes[reference],
        estimand=_estimand(cells[position] for position in span.positions),
        curves=tuple(curves),
        difference_in_differences=tuple(_against_control(errors, delta, generator)),
    )


def _against_control(
    errors: BatchErrors, delta: FloatArray, generator: np.random.Generator
) -> Iterator[DifferenceInDifferences]:
    if CONTROL not in errors.names:
        return
    control = errors.names.index(CONTROL)
    for n, normalization in enumerate(errors.normalizations):
        if n == control:
            continue
        batches = np.flatnonzero(errors.run[n, :-1] & errors.run[control, :-1])
        difference = difference_in_differences(delta[n, batches], delta[control, batches])
        p = plain(sign_flip_p(difference, generator=generator))
        for b, mean, value in zip(batches.tolist(), mean_interval(difference).intervals(), p, strict=True):
            yield DifferenceInDifferences(
                normalization=normalization,
                reference=errors.normalizations[control],
                batch_size=errors.batch_sizes[b],
                estimate=mean.estimate,
                low=mean.low,
                high=mean.high,
                n=mean.n,
                p=value,
            )


def _estimand(cells: Iterable[DesignCell]) -> str:
    """`linear`: the learning rate shrinks with the batch; `fixed`: it does not; `mixed`: averaged over both."""
    rules: set[str] = {cell.config.training.learning_rate_rule for cell in cells}
    return rules.pop() if len(rules) == 1 else "mixed"
