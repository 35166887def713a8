"""A report as plain tables: what the study asked, dead units, convergence, errors, small batches."""

import math
from dataclasses import dataclass

from actinium.levels import compact_label
from actinium.measurements import SHARE_UNIT, metric
from actinium.paths import Cell, cell_key, cell_label
from actinium.questions import EPOCHS_TO_TARGET
from actinium.report import Contrast, DifferenceInDifferences, Interval, Report, ResolvedTarget

NOTHING = "-"
TEST_ERROR = "test_error"
NAMES = ("question", "cell", "activation", "normalization")
"""Columns that name a row."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A table for people: `numbers` are the columns that hold figures; `note` says what they mean."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every column but those that name a row."""
        return tuple(column for column in self.columns if column not in NAMES)


def comparisons(report: Report) -> list[Comparison]:
    """What the study asked, if it did; dead units, convergence, errors, and small batches in up to two tables."""
    asked = [questions(report)] if report.questions else []
    return [*asked, dead_units(report), convergence(report), errors(report), *small_batches(report)]


def mixed_measurements(report: Report) -> str | None:
    """A warning where trials of one study measured a quantity by different definitions; None where none did."""
    found = report.mixed_measurements
    if not found:
        return None
    said = "; ".join(f"{name}: versions {', '.join(map(str, versions))}" for name, versions in found.items())
    again = "Submit the study anew to measure all by one."
    return f"Not all trials measured by one definition, do not compare these ({said}). {again}"


def questions(report: Report) -> Comparison:
    """Each test of the study's questions, with its p value corrected over all of them (SCIENCE D6)."""
    rows = (
        (
            f"{asked.metric}: {against(asked)}",
            contrast_figure(asked),
            NOTHING if asked.p_holm is None else f"{asked.p_holm:.3g}",
            str(asked.n),
            str(asked.collapsed),
        )
        for asked in report.questions
    )
    (family,) = report.families
    seeds = "" if family.answerable() else f" {family.seeds} seeds cannot answer them; {family.seeds_needed} can."
    return Comparison(
        title="What the study asks",
        columns=("question", "difference", "p (Holm)", "n", "collapsed"),
        rows=tuple(rows),
        note=f"First less second, paired by seed, and of times the ratio; [95% interval]; p by exact sign flips, "
        f"corrected over {family.tests} tests; collapsed: seeds at which a network did not learn.{seeds}",
    )


def against(asked: Contrast) -> str:
    """What a contrast compares: `elu - relu at batch_size=2`."""
    differing = [path for path, level in asked.cell.items() if asked.reference.get(path) != level]
    sides = (cell_label({path: levels[path] for path in differing}) for levels in (asked.cell, asked.reference))
    shared = {path: level for path, level in asked.cell.items() if path not in differing}
    return " - ".join(sides) + (f" at {cell_label(shared)}" if shared else "")


def contrast_figure(contrast: Contrast) -> str:
    """A contrast in the unit of people: percentage points of a share, a ratio of times."""
    ends = (contrast.difference, contrast.low, contrast.high)
    if contrast.scale == "log_ratio":
        estimate, low, high = (None if end is None else math.exp(end) for end in ends)
        return figure(Interval(estimate=estimate, low=low, high=high, n=contrast.n), ".2f", unit="x")
    estimate, low, high = ends
    shown = Interval(estimate=estimate, low=low, high=high, n=contrast.n)
    entry = metric(contrast.metric)
    if entry is not None and entry.unit == SHARE_UNIT:
        return points_of_error(shown)
    return figure(shown, "+.3g")


def dead_units(report: Report) -> Comparison:
    """Gradient-dead units at the end, and how they came to it (SCIENCE D1), worst first."""
    cells = sorted(report.cells, key=lambda cell: -cell.estimate("dead_unit_rate", missing=-1.0))
    rows = (
        (
            spaced(cell.cell),
            *(share(cell.metrics.get(name)) for name in ("dead_unit_rate", "born_dead_rate", "died_rate")),
            seeds(cell.metrics.get("dead_unit_rate")),
        )
        for cell in cells
    )
    return Comparison(
        title="Dead units at the end of training",
        columns=("cell", "dead", "born dead", "died", "n"),
        rows=tuple(rows),
        note="Share of units through which no gradient passes for any probe example; [95% interval] over n seeds, "
        "up to 3/n where no seed has any.",
    )


def convergence(report: Report) -> Comparison:
    """Restricted mean epochs to the target (SCIENCE D2), fastest first."""
    reached = {cell_key(curve.cell): curve.reached for curve in report.convergence.curves}
    cells = sorted(report.cells, key=lambda cell: cell.estimate(EPOCHS_TO_TARGET, missing=math.inf))
    rows = []
    for cell in cells:
        epochs = cell.metrics.get(EPOCHS_TO_TARGET)
        row = (figure(epochs, ".2f"), share(reached.get(cell_key(cell.cell))), share(cell.collapse_rate))
        rows.append((spaced(cell.cell), *row, seeds(epochs)))
    return Comparison(
        title="Convergence",
        columns=("cell", "epochs to target", "reached", "collapsed", "n"),
        rows=tuple(rows),
        note=f"Epochs until {goal(report.target)}, restricted mean over the budget; "
        "collapsed: did not learn (diverged or stalled); [95% interval].",
    )


def errors(report: Report) -> Comparison:
    """Test error of all trials as they ended and of those that learned, and how many did not; best first."""
    cells = sorted(report.cells, key=lambda cell: cell.estimate(TEST_ERROR, missing=math.inf))
    rows = (
        (
            spaced(cell.cell),
            share(cell.metrics.get(TEST_ERROR)),
            share(cell.learned.get(TEST_ERROR)),
            share(cell.collapse_rate),
            seeds(cell.metrics.get(TEST_ERROR)),
        )
        for cell in cells
    )
    return Comparison(
        title=report.words.error.capitalize(),
        columns=("cell", "all", "learned", "collapsed", "n"),
        rows=tuple(rows),
        note="All: a network that collapsed counts as what it ended as; learned: without those, where there are any; "
        "collapsed: with Wilson's interval, for a collapse that no seed has shown is in no mean.",
    )


def goal(target: ResolvedTarget) -> str:
    """The target and where it comes from."""
    if target.value is None:
        return "the target, which is computed when three trials of the reference cell have succeeded"
    said = f"evaluation loss {target.value:.4g}"
    if target.source == "study":
        return said
    when = "" if target.frozen_at is None else f", frozen {target.frozen_at:%Y-%m-%d %H:%M} UTC"
    return f"{said} (computed: median of {target.n} trials of the reference cell at half their budget{when})"


def small_batches(report: Report) -> list[Comparison]:
    """Test error by batch size, and its growth from the reference batch; that growth against group's (SCIENCE D3)."""
    title = "Small batches"
    small, error = report.small_batch, report.words.error
    if small is None:
        note = "training.batch_size is no factor of this study."
        return [Comparison(title=title, columns=("cell",), rows=(), note=note)]
    several = bool(small.by_activation)
    left_out = "; ".join(cell_label(cell) for cell in small.left_out)
    not_averaged = f" Not averaged, because they did not learn: {left_out}." if left_out and not several else ""
    rows = (
        (
            *([compact_label(curve.activation)] if several else []),
            compact_label(curve.normalization),
            str(point.batch_size),
            share(point.error),
            points_of_error(point.degradation),
            str(point.error.n),
        )
        for curve in (small.by_activation or small.curves)
        for point in sorted(curve.points, key=lambda point: point.batch_size)
    )
    by_batch = Comparison(
        title=title,
        columns=(*(["activation"] if several else []), "normalization", "batch", error, "degradation", "n"),
        rows=tuple(rows),
        note=f"Degradation: {error} less that at batch {small.reference_batch}, in percentage points; of the networks "
        f"that learned, n seeds; [95% interval].{not_averaged}",
    )
    beyond = (
        (
            compact_label(entry.activation),
            compact_label(entry.normalization),
            str(entry.batch_size),
            points_of_error(entry),
            str(entry.n),
            str(entry.collapsed),
        )
        for entry in small.difference_in_differences
    )
    against_group = Comparison(
        title="Small batches, beyond group normalization",
        columns=("activation", "normalization", "batch", "minus group's", "n", "collapsed"),
        rows=tuple(beyond),
        note="Degradation less that of group normalization with the same activation, in percentage points, of the "
        "networks that learned; [95% interval].",
    )
    return [by_batch, against_group] if against_group.rows else [by_batch]


def spaced(cell: Cell) -> str:
    """A cell's label that can wrap between its levels."""
    return cell_label(cell).replace("·", " · ")


def figure(
    interval: Interval | DifferenceInDifferences | None, pattern: str, *, scale: float = 1.0, unit: str = ""
) -> str:
    """`estimate [low, high]`."""
    if interval is None or interval.estimate is None:
        return NOTHING
    middle = f"{scale * interval.estimate:{pattern}}{unit}"
    if interval.low is None or interval.high is None:
        return middle
    return f"{middle} [{scale * interval.low:{pattern}}, {scale * interval.high:{pattern}}]"


def share(interval: Interval | None) -> str:
    """A fraction in percent, with its interval if it has one."""
    return figure(interval, ".1f", scale=100.0, unit="%")


def points_of_error(interval: Interval | DifferenceInDifferences) -> str:
    """A difference of fractions in percentage points, signed."""
    return figure(interval, "+.1f", scale=100.0)


def seeds(interval: Interval | None) -> str:
    """Over how many seeds an interval is."""
    return str(interval.n if interval is not None else 0)
