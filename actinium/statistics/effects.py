"""The report's factor effects, and the metrics for which they are computed."""

import numpy as np

from actinium.questions import EPOCHS_TO_TARGET
from actinium.report import FactorEffect
from actinium.statistics.comparisons import AULC, Measured
from actinium.statistics.factorial import effects
from actinium.statistics.factorial_grid import FactorialGrid
from actinium.statistics.intervals import plain

FACTOR_METRICS = ("dead_unit_rate", EPOCHS_TO_TARGET, AULC, "test_error")
"""Metrics whose variance is explained; all bounded, as one diverged loss would be nearly all of it (SCIENCE D6)."""


def factors(span: FactorialGrid, measured: Measured, *, generator: np.random.Generator) -> list[FactorEffect]:
    """Omega squared of each factor and interaction on the bounded metrics, over the grid's cells."""
    varied = [k for k, column in enumerate(span.levels.T) if len(np.unique(column)) > 1]
    if not varied:
        return []
    rows = []
    for metric in FACTOR_METRICS:
        values, resolution = measured.values(metric)[span.positions], 0.0
        if metric == EPOCHS_TO_TARGET:
            resolution = float(measured.reached.grid_variance()[span.positions].mean())
        for effect in effects(values, span.levels[:, varied], generator=generator, resolution=resolution):
            low, high = plain(np.array([effect.low, effect.high]))
            rows.append(
                FactorEffect(
                    factor=" x ".join(span.paths[varied[k]] for k in effect.term),
                    metric=metric,
                    omega_squared=effect.omega_squared,
                    low=low,
                    high=high,
                    n=effect.seeds,
                    cells=effect.cells,
                    sums_of_squares="orthogonal" if effect.balanced else "type II",
                )
            )
    return rows
