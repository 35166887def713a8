"""Histograms of a trial's layers at one step, side by side, first layer first."""

import re
from collections.abc import Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from actinium.frame import layer_series
from actinium.histogram import BINS, EDGES, histogram_series
from dashboard.charts.ground import empty, grounded
from dashboard.palette import OKABE_ITO

COLUMNS = 5
ROW_HEIGHT = 190
TICKS = (-10.0, -1.0, -0.1, 0.0, 0.1, 1.0, 10.0)
LAYER = re.compile(r"/layer_(\d+)$")


def by_layer(values: Mapping[str, float], *, of: str) -> go.Figure:
    """A panel for each layer: the share of values in each bin. `values` by series; `of`: activation, preactivation."""
    bins = histogram_series(of)
    layers = sorted(
        int(found[1]) for name in values if name.startswith(f"{bins[0]}/") and (found := LAYER.search(name))
    )
    if not layers:
        return empty("No histogram was measured.")
    rows = -(-len(layers) // COLUMNS)
    wide = min(COLUMNS, len(layers))
    figure = make_subplots(
        rows=rows,
        cols=wide,
        shared_xaxes="all",
        shared_yaxes="rows",
        subplot_titles=[f"<b>layer {layer}</b>" for layer in layers],
        horizontal_spacing=0.02,
        vertical_spacing=0.28 / rows if rows > 1 else 0.0,
    )
    words = [f"{low:.3g} to {high:.3g}" for low, high in BINS]
    for place, layer in enumerate(layers):
        shares = [values[layer_series(name, layer)] for name in bins]
        bars = go.Bar(
            x=[number - 0.5 for number in range(len(BINS))],
            y=shares,
            width=1.0,
            marker={"color": OKABE_ITO[0], "line": {"width": 0}},
            customdata=words,
            hovertemplate="%{customdata}: %{y:.1%}<extra></extra>",
            showlegend=False,
        )
        figure.add_trace(bars, row=place // wide + 1, col=place % wide + 1)
    figure.update_xaxes(tickvals=[at(tick) for tick in TICKS], ticktext=[f"{tick:g}" for tick in TICKS], showgrid=False)
    figure.update_yaxes(tickformat=".0%", rangemode="tozero", zeroline=False)
    figure.update_layout(height=rows * ROW_HEIGHT + 70, bargap=0, margin={"l": 50, "r": 8, "t": 34, "b": 36})
    return grounded(figure)


def at(value: float) -> float:
    """The place of a value on an axis whose unit is a bin: edge k stands at k, and between edges the axis is linear."""
    above = next((k for k, edge in enumerate(EDGES) if edge > value), len(EDGES) - 1)
    low, high = EDGES[above - 1], EDGES[above]
    return above - 1 + (value - low) / (high - low)
