"""Data frames for charts, out of reports, curves and trials: a row for each cell and layer, step or batch size.

Every frame has a `cell` column, the cell's number in the report. Estimates stay fractions; charts print percent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from actinium.paths import cell_key
from actinium.report import Interval, Report, SmallBatch
from dashboard.grid import Grid
from dashboard.words import finite

INTERVAL = ("estimate", "low", "high", "n")


def metric_rows(report: Report, metric: str) -> pd.DataFrame:
    """cell, estimate, low, high, n of one metric; cells without an estimate are absent."""
    rows = [
        {"cell": number, **interval_row(interval)}
        for number, entry in enumerate(report.cells)
        if (interval := entry.metrics.get(metric)) is not None and interval.estimate is not None
    ]
    return _numeric(pd.DataFrame(rows, columns=["cell", *INTERVAL]))


def layer_rows(report: Report, metric: str) -> pd.DataFrame:
    """cell, layer (from 1), estimate, low, high, n of a per-layer metric `NAME/layer_03`."""
    prefix = f"{metric}/layer_"
    rows = [
        {"cell": number, "layer": int(name.removeprefix(prefix)), **interval_row(interval)}
        for number, entry in enumerate(report.cells)
        for name, interval in entry.metrics.items()
        if name.startswith(prefix) and interval.estimate is not None
    ]
    frame = _numeric(pd.DataFrame(rows, columns=["cell", "layer", *INTERVAL]))
    return frame.sort_values(["cell", "layer"], ignore_index=True)


def interval_row(interval: Interval) -> dict[str, float | None]:
    """An interval's figures by the names of their columns."""
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high, "n": interval.n}


def curve_rows(curves: Sequence[Mapping[str, Any]], grid: Grid) -> pd.DataFrame:
    """cell, step, mid (the seeds' mean), low, high, n out of the API's curves by cell."""
    numbers = grid.numbers()
    parts = []
    for curve in curves:
        number = numbers.get(cell_key(curve["cell"]))
        if number is None:
            continue
        part = pd.DataFrame(
            {
                "step": curve["steps"],
                "mid": [finite(v) for v in curve["mean"]],
                "low": [finite(v) for v in curve["low"]],
                "high": [finite(v) for v in curve["high"]],
                "n": curve["n"],
            }
        )
        parts.append(part.assign(cell=number))
    columns = ["cell", "step", "mid", "low", "high", "n"]
    frame = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
    return _numeric(frame).dropna(subset=["mid"])


def survival_rows(report: Report, grid: Grid) -> pd.DataFrame:
    """cell, epoch, mid: the share of trials not yet at the target after so many epochs."""
    numbers = grid.numbers()
    parts = [
        pd.DataFrame({"epoch": curve.epochs, "mid": curve.survival}).assign(cell=numbers[cell_key(curve.cell)])
        for curve in report.convergence.curves
        if cell_key(curve.cell) in numbers
    ]
    columns = ["cell", "epoch", "mid"]
    return _numeric(pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns))


def batch_rows(small: SmallBatch | None) -> pd.DataFrame:
    """normalization (as the report holds it), batch_size, and error and degradation with their intervals."""
    rows = [
        {
            "normalization": curve.normalization,
            "batch_size": point.batch_size,
            **{f"error_{name}": value for name, value in interval_row(point.error).items()},
            **{f"degradation_{name}": value for name, value in interval_row(point.degradation).items()},
        }
        for curve in (small.curves if small is not None else ())
        for point in curve.points
    ]
    figures = [f"{kind}_{name}" for kind in ("error", "degradation") for name in INTERVAL]
    return pd.DataFrame(rows, columns=["normalization", "batch_size", *figures])


def status_rows(trials: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """cell, seed, status of each trial: its outcome where it succeeded, its job's state elsewhere."""
    numbers = grid.numbers()
    cells = [numbers.get(cell_key(cell), -1) for cell in trials["cell"]]
    succeeded = trials["state"] == "succeeded"
    status = trials["state"].where(~succeeded, trials["outcome"])
    frame = pd.DataFrame({"cell": cells, "seed": trials["seed"], "status": status, "trial": trials["id"]})
    return frame[frame["cell"] >= 0]


def _numeric(frame: pd.DataFrame) -> pd.DataFrame:
    numeric: pd.DataFrame = frame.apply(pd.to_numeric)
    return numeric
