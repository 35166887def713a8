"""The matrix of trials: which are done, and with what outcome."""

from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from dashboard import palette
from dashboard.charts.ground import empty, grounded
from dashboard.grid import Grid
from dashboard.words import short_label

SQUARE = 19
"""Height in pixels of a row of the matrix."""


def completeness(status: pd.DataFrame, grid: Grid) -> go.Figure:
    """A square for each trial, cells down and seeds across, coloured by its outcome or its job's state.

    `status`: tables.status_rows. The outcome is written in the square too, where it is not the usual one.
    """
    if status.empty:
        return empty("This study has no trials.")
    kinds = list(palette.STATUS_COLOURS)
    codes = status.assign(code=status["status"].map({kind: k for k, kind in enumerate(kinds)}))
    table = codes.pivot(index="cell", columns="seed", values="code").sort_index()
    trials = codes.pivot(index="cell", columns="seed", values="trial").reindex_like(table)
    labels = [short_label(grid.cells[int(str(cell))], tuple(grid.levels)) for cell in table.index]
    seeds = [str(seed) for seed in table.columns]
    step = 1.0 / len(kinds)
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(dtype=float),
            x=seeds,
            y=list(range(len(labels))),
            zmin=-0.5,
            zmax=len(kinds) - 0.5,
            colorscale=[
                [edge, palette.STATUS_COLOURS[kind]]
                for place, kind in enumerate(kinds)
                for edge in (place * step, (place + 1) * step)
            ],
            showscale=False,
            xgap=2,
            ygap=2,
            text=[
                [palette.STATUS_SIGNS[kinds[int(code)]] if pd.notna(code) else "" for code in row]
                for row in table.to_numpy()
            ],
            texttemplate="%{text}",
            textfont={"color": "white", "size": 11},
            customdata=[
                [
                    f"{label}<br>seed {seed}, trial {trial:.0f}: {kinds[int(code)]}" if pd.notna(code) else ""
                    for seed, trial, code in zip(seeds, ids, row, strict=True)
                ]
                for label, ids, row in zip(labels, trials.to_numpy(), table.to_numpy(), strict=True)
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(
        title={"text": "seed", "standoff": 4}, type="category", showgrid=False, side="bottom", constrain="domain"
    )
    figure.update_yaxes(
        tickvals=list(range(len(labels))), ticktext=labels, autorange="reversed", showgrid=False, zeroline=False
    )
    figure.update_layout(
        height=SQUARE * len(labels) + 54,
        margin={"l": 8, "r": 8, "t": 6, "b": 44},
    )
    return grounded(figure)


def width(seeds: int) -> int | Literal["stretch"]:
    """The matrix' width in pixels for so many seeds, about as wide as high squares; beyond 20 seeds the whole page."""
    return 380 + 30 * seeds if seeds <= 20 else "stretch"
