"""The three comparisons of a report as plain tables: dead units, convergence, small batches."""

import math
from dataclasses import dataclass

from actinium.levels import compact_label
from actinium.paths import Cell, cell_key, cell_label
from actinium.report import DifferenceInDifferences, Interval, Report

NOTHING = "-"


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
        return tuple(column for column in self.columns if column not in ("cell", "normalization"))


def comparisons(report: Report) -> list[Comparison]:
    """The three tables, in the order of the questions."""
    return [dead_units(report), convergence(report), small_batches(report)]


def mixed_measurements(report: Report) -> str | None:
    """A warning where trials of one study measured a quantity by different definitions; None where none did."""
    found = report.mixed_measurements
    if not found:
        return None
    said = "; ".join(f"{name}: versions {', '.join(map(str, versions))}" for name, versions in found.items())
    again = "Submit the study anew to measure all by one."
    return f"Not all trials measured by one definition, do not compare these ({said}). {again}"


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
        note="Share of units through which no gradient passes for any probe example; [95% interval] over n seeds.",
    )


def convergence(report: Report) -> Comparison:
    """Restricted mean steps to the target (SCIENCE D2), fastest first."""
    reached = {cell_key(curve.cell): curve.reached for curve in report.convergence.curves}
    cells = sorted(report.cells, key=lambda cell: cell.estimate("steps_to_target", missing=math.inf))
    rows = []
    for cell in cells:
        steps = cell.metrics.get("steps_to_target")
        row = (figure(steps, ".0f"), share(reached.get(cell_key(cell.cell))), share(cell.collapse_rate))
        rows.append((spaced(cell.cell), *row, seeds(steps)))
    value = report.target.value
    goal = "the target" if value is None else f"validation loss {value:.4g}"
    return Comparison(
        title="Convergence",
        columns=("cell", "steps to target", "reached", "collapsed", "n"),
        rows=tuple(rows),
        note=f"Steps until {goal}, restricted mean over the budget; collapsed: diverged or stalled; [95% interval].",
    )


def small_batches(report: Report) -> Comparison:
    """Test error by batch size, its growth from the reference batch, and that growth against group's (SCIENCE D3)."""
    title = "Small batches"
    small, error = report.small_batch, report.words.error
    if small is None:
        return Comparison(
            title=title, columns=("cell",), rows=(), note="training.batch_size is no factor of this study."
        )
    against = {
        (cell_key(entry.normalization), entry.batch_size): points_of_error(entry)
        for entry in small.difference_in_differences
    }
    rows = (
        (
            compact_label(curve.normalization),
            str(point.batch_size),
            share(point.error),
            points_of_error(point.degradation),
            against.get((cell_key(curve.normalization), point.batch_size), NOTHING),
        )
        for curve in small.curves
        for point in sorted(curve.points, key=lambda point: point.batch_size)
    )
    return Comparison(
        title=title,
        columns=("normalization", "batch", error, "degradation", "minus group's"),
        rows=tuple(rows),
        note=f"Degradation: {error} less that at batch {small.reference_batch}, in percentage points; "
        "minus group's: its difference to group normalization's; [95% interval].",
    )


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
