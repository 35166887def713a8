"""The three answers, each as one sentence with its figures and intervals, computed from the report.

The cell named first is the one with the highest (or lowest) estimate, chosen after seeing the data: the sentences say
where to encoding, the contrasts table says what holds.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from actinium.paths import Cell, FactorValue
from actinium.questions import EPOCHS_TO_TARGET
from actinium.report import CellReport, DegradationCurve, Report, SmallBatch
from dashboard.grid import Grid
from dashboard.words import (
    cell_phrase,
    interval,
    level_word,
    number,
    percent,
    plural,
    points,
    points_interval,
)

DEAD = "dead_unit_rate"


@dataclass(frozen=True, kw_only=True)
class Headline:
    """A question with its answer: a figure for the eye, and a sentence in Markdown."""

    question: str
    figure: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """A normalization at a batch size: `change` of the error from the reference batch, a difference of fractions, with
    the ends of its interval. `activation` is None where several are averaged.
    """

    normalization: FactorValue
    activation: FactorValue
    batch_size: int
    change: float
    low: float | None
    high: float | None


NOTHING_YET = "No trial has finished yet."
NO_TARGET_YET = (
    "The target is the median loss of the reference cell's first three trials at half their budget; they have not "
    "finished yet."
)


def headlines(report: Report, grid: Grid) -> tuple[Headline, Headline, Headline]:
    """Dead units, convergence, small batches."""
    return dead_units(report, grid), convergence(report, grid), small_batch(report)


def dead_units(report: Report, grid: Grid) -> Headline:
    """The cell with the most dead units, against the best activation with everything else equal."""
    question = "Dead units"
    measured = _measured(report.cells, DEAD)
    if not measured:
        return Headline(question=question, figure="–", sentence=NOTHING_YET)
    worst = max(measured, key=_dead)
    if _dead(worst) < 0.0005:
        sentence = f"No cell of {len(measured)} has dead units at the end of training."
        return Headline(question=question, figure="0%", sentence=sentence)
    figure, own = percent(_dead(worst)), worst.metrics[DEAD]
    said = interval(own.low, own.high, show=percent)
    sentence = f"**{_capital(_told(grid, worst.cell))}**: {figure} of units dead ({said})"
    rivals = [entry for entry in measured if _siblings(entry.cell, worst.cell, "activation")]
    if rivals:
        best = min(rivals, key=_dead)
        rival = level_word("activation", best.cell["activation"])
        sentence += f", against {percent(_dead(best))} for {rival}"
    elif len(measured) > 1:
        best = min(measured, key=_dead)
        sentence += f"; the least is {percent(_dead(best))}, {_told(grid, best.cell)}"
    return Headline(question=question, figure=figure, sentence=sentence + ".")


def convergence(report: Report, grid: Grid) -> Headline:
    """The fastest and the slowest cell to the target, among cells that train with the same batch size and budget."""
    question = "Convergence"
    measured = _measured(report.cells, EPOCHS_TO_TARGET)
    if not measured:
        done = any(entry.succeeded for entry in report.cells)
        return Headline(question=question, figure="–", sentence=NO_TARGET_YET if done else NOTHING_YET)
    alike = comparable(measured)
    fastest, slowest = min(alike, key=_epochs), max(alike, key=_epochs)
    value, own = number(_epochs(fastest)), fastest.metrics[EPOCHS_TO_TARGET]
    said = interval(own.low, own.high)
    sentence = (
        f"**{_capital(_told(grid, fastest.cell))}** reaches evaluation loss "
        f"{number(report.target.value)} in {value} epochs ({said})"
    )
    if len(alike) > 1:
        taken = number(_epochs(slowest))
        sentence += f"; {_told(grid, slowest.cell)} " + (
            f"takes {taken}" if _arrives(report, slowest.cell) else f"never does in {taken}"
        )
    return Headline(question=question, figure=f"{value} epochs", sentence=f"{sentence}. {_never(report)}".strip())


def small_batch(report: Report) -> Headline:
    """How much batch normalization loses from the reference to the smallest batch, beside group normalization."""
    question, small = "Small batches", report.small_batch
    if small is None:
        return Headline(question=question, figure="–", sentence="This study does not vary the batch size.")
    measured = _degraded(small)
    if not measured:
        return Headline(question=question, figure="–", sentence=NOTHING_YET)
    named = [entry for entry in measured if _name(entry.normalization) == "batch"] or measured
    smallest = min(entry.batch_size for entry in named)
    if smallest == small.reference_batch:
        return Headline(
            question=question, figure="–", sentence="Only the reference batch size has finished trials yet."
        )
    worst = max((entry for entry in named if entry.batch_size == smallest), key=lambda entry: entry.change)
    level = level_word("normalization", worst.normalization)
    if worst.activation is not None:
        level = f"{level_word('activation', worst.activation)} and {level}"
    sentence = (
        f"At batch size {smallest}, the {report.words.error} with **{level}** is "
        f"{_apart(worst.change)} than at {small.reference_batch} ({points_interval(worst.low, worst.high)})"
    )
    group = [
        entry
        for entry in measured
        if entry.batch_size == smallest
        and _name(entry.normalization) == "group"
        and entry.activation == worst.activation
    ]
    if group and worst not in group:
        sentence += f", with GroupNorm {_apart(group[0].change)}"
    return Headline(question=question, figure=f"{points(worst.change)} points", sentence=sentence + ".")


def comparable(cells: list[CellReport]) -> list[CellReport]:
    """Of these cells, the largest set that differs in levels only, not in data, model or training.

    Among equally large sets the one with the largest batch size: degradation is measured from it.
    """
    groups: dict[tuple[str, ...], list[CellReport]] = {}
    for entry in cells:
        setting = tuple(f"{path}={value}" for path, value in sorted(entry.cell.items()) if "." in path)
        groups.setdefault(setting, []).append(entry)

    def rank(members: list[CellReport]) -> tuple[int, float]:
        batch_size = members[0].cell.get("training.batch_size")
        return len(members), float(batch_size) if isinstance(batch_size, int | float) else 0.0

    return max(groups.values(), key=rank)


def _degraded(small: SmallBatch) -> list[Degraded]:
    """The changes that have an estimate, averaged over activations or, where each has a cell that did not learn, one by
    one.
    """
    averaged = _changes(small.curves)
    return averaged if len({entry.batch_size for entry in averaged}) > 1 else _changes(small.by_activation) or averaged


def _changes(curves: Iterable[DegradationCurve]) -> list[Degraded]:
    return [
        Degraded(
            normalization=curve.normalization,
            activation=curve.activation,
            batch_size=point.batch_size,
            change=point.degradation.estimate,
            low=point.degradation.low,
            high=point.degradation.high,
        )
        for curve in curves
        for point in curve.points
        if point.degradation.estimate is not None
    ]


def _measured(cells: Iterable[CellReport], metric: str) -> list[CellReport]:
    """The cells that have an estimate of a metric."""
    return [entry for entry in cells if not math.isnan(entry.estimate(metric))]


def _dead(entry: CellReport) -> float:
    return entry.estimate(DEAD)


def _epochs(entry: CellReport) -> float:
    return entry.estimate(EPOCHS_TO_TARGET)


def _arrives(report: Report, cell: Cell) -> bool:
    """Whether any trial of the cell reached the target."""
    return any(curve.cell == cell and curve.reached.estimate for curve in report.convergence.curves)


def _never(report: Report) -> str:
    """How many finished trials did not reach the target within their budget."""
    shares = [curve.reached for curve in report.convergence.curves]
    everyone = sum(share.n for share in shares)
    missed = everyone - sum(round((share.estimate or 0.0) * share.n) for share in shares)
    return f"{missed:,} of {plural(everyone, 'trial')} never reach it." if missed else "Every trial reaches it."


def _apart(change: float) -> str:
    """A change of a fraction in words: `12.3 points higher`; `no higher` where it rounds to 0.0 points."""
    size = points(abs(change)).lstrip("+")
    return "no higher" if size == "0.0" else f"{size} points {'lower' if change < 0 else 'higher'}"


def _siblings(one: Cell, other: Cell, path: str) -> bool:
    """Whether two cells differ in the factor `path` and in no other."""
    differing = {key for key in {*one, *other} if one.get(key) != other.get(key)}
    return differing == {path}


def _told(grid: Grid, cell: Cell) -> str:
    """A phrase for the cell that names its varying factors, and always its activation, around which it is built."""
    return cell_phrase({path: value for path, value in cell.items() if path in grid.levels or path == "activation"})


def _name(normalization: FactorValue) -> str:
    return str(normalization.get("name")) if isinstance(normalization, dict) else str(normalization)


def _capital(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
