"""Tidy frames out of the API's documents: a row a cell (and a layer, a step, a batch size).

Every frame has a `cell` column, the cell's number in the report. Estimates stay fractions; charts print percent.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard.grid import Grid, cell_key
from dashboard.words import finite

ESTIMATE = ["estimate", "low", "high", "n"]


def estimate_of(value: Any) -> dict[str, Any]:
    """`{estimate, low, high, n}` with None where a part is missing; a bare number is an estimate alone."""
    if isinstance(value, Mapping):
        return {
            "estimate": finite(value.get("estimate")),
            "low": finite(value.get("low")),
            "high": finite(value.get("high")),
            "n": int(value.get("n") or 0),
        }
    return {"estimate": finite(value), "low": None, "high": None, "n": 0}


def metric_rows(report: Mapping[str, Any], metric: str) -> pd.DataFrame:
    """cell, estimate, low, high, n of one metric; cells without a finite estimate are absent."""
    rows = []
    for number, entry in enumerate(report["cells"]):
        value = entry.get("collapse_rate") if metric == "collapse_rate" else entry["metrics"].get(metric)
        row = estimate_of(value)
        if row["estimate"] is not None:
            rows.append({"cell": number, **row})
    return _numeric(pd.DataFrame(rows, columns=["cell", *ESTIMATE]))


def layer_rows(report: Mapping[str, Any], metric: str) -> pd.DataFrame:
    """cell, layer (from 1), estimate, low, high, n of a per-layer metric `NAME/layer_03`."""
    prefix = f"{metric}/layer_"
    rows = []
    for number, entry in enumerate(report["cells"]):
        for name, value in entry["metrics"].items():
            if not name.startswith(prefix):
                continue
            row = estimate_of(value)
            if row["estimate"] is not None:
                rows.append({"cell": number, "layer": int(name.removeprefix(prefix)), **row})
    frame = _numeric(pd.DataFrame(rows, columns=["cell", "layer", *ESTIMATE]))
    return frame.sort_values(["cell", "layer"], ignore_index=True)


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


def survival_rows(report: Mapping[str, Any], grid: Grid) -> pd.DataFrame:
    """cell, step, mid: the share of trials not yet at the target after each step."""
    numbers = grid.numbers()
    parts = [
        pd.DataFrame({"step": curve["steps"], "mid": curve["survival"]}).assign(cell=numbers[cell_key(curve["cell"])])
        for curve in report["convergence"]["curves"]
        if cell_key(curve["cell"]) in numbers
    ]
    columns = ["cell", "step", "mid"]
    return _numeric(pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns))


def batch_rows(report: Mapping[str, Any]) -> pd.DataFrame:
    """normalization (as the report holds it), batch_size, and error and degradation with their intervals."""
    rows = []
    for curve in (report.get("small_batch") or {}).get("curves", []):
        for point in curve["points"]:
            error = estimate_of(point["error"])
            worse = estimate_of(point.get("degradation"))
            rows.append(
                {
                    "normalization": curve["normalization"],
                    "batch_size": point["batch_size"],
                    **{f"error_{part}": error[part] for part in ("estimate", "low", "high")},
                    **{f"degradation_{part}": worse[part] for part in ("estimate", "low", "high")},
                }
            )
    return pd.DataFrame(
        rows,
        columns=[
            "normalization",
            "batch_size",
            *(f"{kind}_{part}" for kind in ("error", "degradation") for part in ("estimate", "low", "high")),
        ],
    )


def status_rows(trials: pd.DataFrame, grid: Grid) -> pd.DataFrame:
    """cell, seed, status of each trial: its outcome where it succeeded, its job's state elsewhere."""
    numbers = grid.numbers()
    cells = [numbers.get(cell_key(cell), -1) for cell in trials["cell"]]
    succeeded = trials["state"] == "succeeded"
    status = trials["state"].where(~succeeded, trials["outcome"])
    frame = pd.DataFrame({"cell": cells, "seed": trials["seed"], "status": status, "trial": trials["id"]})
    return frame[frame["cell"] >= 0]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as plain mappings, NaN as None."""
    return [
        {
            str(column): None if isinstance(value, float) and math.isnan(value) else value
            for column, value in row.items()
        }
        for row in frame.to_dict("records")
    ]


def _numeric(frame: pd.DataFrame) -> pd.DataFrame:
    numeric: pd.DataFrame = frame.apply(pd.to_numeric)
    return numeric
