"""The report's contrasts and factor effects, and the metrics for which each of them is computed."""

from collections.abc import Sequence

import numpy as np

from actinium.report import Contrast, FactorEffect
from actinium.statistics.contrasts import holm, paired_difference, paired_log_ratio, sign_flip_p
from actinium.statistics.convergence import TimesToTarget
from actinium.statistics.factorial import effects
from actinium.statistics.intervals import BoolArray, Estimates, FloatArray, IntArray, plain
from actinium.statistics.references import FactorialGrid, Pair
from actinium.statistics.replicates import Replicates
from actinium.study import DesignCell

STEPS_TO_TARGET = "steps_to_target"
CONFIRMATORY = ("dead_unit_rate", STEPS_TO_TARGET, "test_error")
"""The confirmatory family: one metric for each of the study's three questions. Holm's correction is over all its
contrasts.
"""

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
FACTOR_METRICS = ("dead_unit_rate", STEPS_TO_TARGET, "aulc", "test_error")
"""Metrics whose variance is explained; all bounded, as one diverged loss would be nearly all of it (SCIENCE D6)."""


def contrasts(
    cells: Sequence[DesignCell],
    found: Sequence[Pair],
    replicates: Replicates,
    reached: TimesToTarget,
    listed: range,
    *,
    generator: np.random.Generator,
) -> list[Contrast]:
    """Every cell against its reference cell, metric by metric; exploratory metrics where they were measured. Computed
    for all pairs, whose family Holm's correction is over, and given for the cells that are listed.
    """
    if not found:
        return []
    treated, reference = (np.array(side) for side in zip(*found, strict=True))
    flagged = replicates.diverged[treated] | replicates.diverged[reference]
    metrics = [*CONFIRMATORY, *(m for m in EXPLORATORY if not np.isnan(replicates.metric(m)).all())]
    blocks = [_contrast(metric, treated, reference, flagged, replicates, reached, generator) for metric in metrics]
    family = np.concatenate([p for _, _, p in blocks[: len(CONFIRMATORY)]])
    adjusted = [*plain(holm(family)), *[None] * (len(found) * (len(metrics) - len(CONFIRMATORY)))]
    diverged = flagged.sum(axis=1).tolist()
    shown = np.array([k for k, (above, _) in enumerate(found) if above in listed], dtype=np.int64)
    some = shown[flagged[shown].any(axis=1)]
    pairs = [(int(k), cells[found[k][0]].cell, cells[found[k][1]].cell) for k in shown]
    rows: list[Contrast] = []
    for number, (metric, (main, without, p)) in enumerate(zip(metrics, blocks, strict=True)):
        sensitivity = dict(zip(some.tolist(), without.at(some).intervals(), strict=True))
        part = main.at(shown)
        figures = (plain(part.estimate), plain(part.low), plain(part.high), part.n.tolist(), plain(p[shown]))
        for (k, cell, reference), estimate, low, high, n, raw in zip(pairs, *figures, strict=True):
            rows.append(
                Contrast(
                    metric=metric,
                    scale="log_ratio" if metric == STEPS_TO_TARGET else "difference",
                    cell=cell,
                    reference=reference,
                    difference=estimate,
                    low=low,
                    high=high,
                    n=n,
                    p=raw,
                    p_holm=adjusted[number * len(found) + k],
                    confirmatory=metric in CONFIRMATORY,
                    diverged=diverged[k],
                    without_diverged=sensitivity.get(k),
                )
            )
    return rows


def _contrast(
    metric: str,
    treated: IntArray,
    reference: IntArray,
    flagged: BoolArray,
    replicates: Replicates,
    reached: TimesToTarget,
    generator: np.random.Generator,
) -> tuple[Estimates, Estimates, FloatArray]:
    """The contrast, the same without pairs of which a trial diverged, and p, for all pairs [K].

    Steps to target are compared at the smaller of both budgets, by the logarithm of the ratio of their RMST.
    """
    if metric == STEPS_TO_TARGET:
        budget = np.minimum(reached.budget[treated], reached.budget[reference])[:, None]
        above, below = (np.minimum(reached.times[side], budget) for side in (treated, reference))
        estimate = paired_log_ratio
    else:
        values = replicates.metric(metric)
        above, below = values[treated], values[reference]
        estimate = paired_difference
    sensitivity = estimate(np.where(flagged, np.nan, above), below)
    return estimate(above, below), sensitivity, sign_flip_p(above - below, generator=generator)


def factors(
    span: FactorialGrid, replicates: Replicates, reached: TimesToTarget, *, generator: np.random.Generator
) -> list[FactorEffect]:
    """Omega squared of each factor and interaction on the bounded metrics, over the grid's cells."""
    varied = [k for k, column in enumerate(span.levels.T) if len(np.unique(column)) > 1]
    if not varied:
        return []
    measured = {STEPS_TO_TARGET: reached.restricted(), "aulc": reached.aulc}
    rows = []
    for metric in FACTOR_METRICS:
        values = measured[metric] if metric in measured else replicates.metric(metric)
        for effect in effects(values[span.positions], span.levels[:, varied], generator=generator):
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
