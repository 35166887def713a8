"""Lines over steps, over layers and over batch sizes."""

from dataclasses import replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.ground import bars, empty
from dashboard.charts.panels import Axis, Line, band, panels
from dashboard.grid import Encoding, Grid
from dashboard.words import level_word, percent


def by_layer(rows: pd.DataFrame, encoding: Encoding, *, title: str = "dead units (% of the layer)") -> go.Figure:
    """A rate by layer, 95% intervals over seeds as bars. `rows`: tables.layer_rows joined by `encoding.select`."""
    x = Axis(column="layer", title="hidden layer", whole=True)
    y = Axis(column="estimate", title=title, percent=True)
    middle = (len(encoding.kept(encoding.colour)) - 1) / 2 if encoding.colour else 0.0

    def draw(figure: go.Figure, line: Line, row: int, column: int) -> None:
        own = line.rows.sort_values("layer")
        shift = 0.05 * (line.place - middle)
        figure.add_trace(
            _joined_points(
                line,
                own,
                x=own["layer"] + shift,
                customdata=[
                    f"{percent(e)} (95% CI {percent(lo)}–{percent(hi)}), n={n}"
                    for e, lo, hi, n in zip(
                        own["estimate"], _none(own["low"]), _none(own["high"]), own["n"], strict=True
                    )
                ],
                hovertemplate=f"{line.label}<br>layer %{{x:.0f}}: %{{customdata}}<extra></extra>",
            ),
            row=row,
            col=column,
        )

    return panels(rows, encoding, x=x, y=y, draw=draw, floor=0.05)


def over_steps(
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    title: str,
    log_x: bool = True,
    log_y: bool = False,
    as_percent: bool = False,
) -> go.Figure:
    """A series over steps: the seeds' mean, with its 95% interval as a band.

    On a logarithmic axis step 0 is drawn at half a step.
    """
    shown = rows.assign(step=rows["step"].clip(lower=0.5)) if log_x else rows
    if log_y:
        shown = shown[shown["mid"] > 0]
    if as_percent:
        shown = shown.assign(low=shown["low"].clip(lower=0.0), high=shown["high"].clip(upper=1.0))
    x = Axis(column="step", title="optimizer step", log=log_x)
    y = Axis(column="mid", title=title, log=log_y, percent=as_percent)
    floor = float(shown["mid"].min()) * 0.2 if log_y and len(shown) else None
    value = "%{y:.1%}" if as_percent else "%{y:.3g}"

    def draw(figure: go.Figure, line: Line, row: int, column: int) -> None:
        own = line.rows.sort_values("step")
        band(figure, replace(line, rows=own), "step", row=row, column=column, floor=floor)
        figure.add_trace(
            go.Scatter(
                x=own["step"],
                y=own["mid"],
                mode="lines",
                line={"color": line.colour, "dash": line.dash, "width": 2},
                name=line.label,
                customdata=own["n"],
                hovertemplate=f"{line.label}<br>step %{{x:,.0f}}: {value}, n=%{{customdata}}<extra></extra>",
            ),
            row=row,
            col=column,
        )

    return panels(shown, encoding, x=x, y=y, draw=draw, floor=0.05)


def survival(rows: pd.DataFrame, encoding: Encoding) -> go.Figure:
    """Kaplan-Meier: the share of trials that have not yet reached the target after so many epochs."""
    x = Axis(column="epoch", title="epoch", log=False)
    y = Axis(column="mid", title="trials not yet at the target", percent=True)

    def draw(figure: go.Figure, line: Line, row: int, column: int) -> None:
        own = line.rows.sort_values("epoch")
        figure.add_trace(
            go.Scatter(
                x=own["epoch"],
                y=own["mid"],
                mode="lines",
                line={"color": line.colour, "dash": line.dash, "width": 2, "shape": "hv"},
                name=line.label,
                hovertemplate=f"{line.label}<br>epoch %{{x:.3g}}: %{{y:.0%}} not yet<extra></extra>",
            ),
            row=row,
            col=column,
        )

    return panels(rows, encoding, x=x, y=y, draw=draw, floor=1.0)


def against_batch_size(
    rows: pd.DataFrame, grid: Grid, *, value: str = "error", width: int = 480, word: str = "test error"
) -> go.Figure:
    """The error (or its degradation) against the batch size per normalization. `rows`: tables.batch_rows; `word`: what
    the error is called.

    Normalizations keep the colours that they have everywhere.
    """
    if rows.empty:
        return empty("No batch size has finished trials yet.")
    words = [level_word("normalization", n) if n is not None else "" for n in rows["normalization"]]
    drawn = rows.assign(
        normalization=words,
        estimate=rows[f"{value}_estimate"],
        low=rows[f"{value}_low"],
        high=rows[f"{value}_high"],
    ).dropna(subset=["estimate"])
    varied = "normalization" in grid.levels
    only = {"normalization": grid.levels["normalization"]} if varied else {}
    encoding = Encoding(
        grid=Grid(cells=grid.cells, levels=only, constant=grid.constant), colour="normalization" if varied else None
    )
    rate = value == "error"
    if not rate:
        drawn = drawn.assign(**{part: 100.0 * drawn[part] for part in ("estimate", "low", "high")})
    title = word if rate else f"change of {word} (points)"
    x = Axis(column="batch_size", title="batch size", log=True, powers_of_two=True)
    y = Axis(column="estimate", title=title, percent=rate)

    def draw(figure: go.Figure, line: Line, row: int, column: int) -> None:
        own = line.rows.sort_values("batch_size")
        figure.add_trace(
            _joined_points(
                line,
                own,
                x=own["batch_size"],
                hovertemplate=f"{line.label}<br>batch size %{{x}}: %{{y:{'.1%' if rate else '+.1f'}}}<extra></extra>",
            ),
            row=row,
            col=column,
        )

    return panels(drawn, encoding, x=x, y=y, draw=draw, width=width)


def _joined_points(line: Line, own: pd.DataFrame, **given: Any) -> go.Scatter:
    """A cell's estimates as points with their intervals, joined by a line; `given` are the rest of the trace."""
    return go.Scatter(
        y=own["estimate"],
        error_y=bars(own),
        mode="lines+markers",
        line={"color": line.colour, "dash": line.dash, "width": 2},
        marker={"symbol": line.symbol, "size": 8},
        name=line.label,
        **given,
    )


def _none(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else float(value) for value in values]
