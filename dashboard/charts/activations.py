"""Activations: function and derivative over z, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.charts.ground import empty, grounded
from dashboard.palette import DASHES, NEUTRAL, OKABE_ITO

PANELS = (("function", "φ(z)"), ("derivative", "φ′(z)"))
HALVES = (("", 2.5), ("second_", 1.25))
"""For each half of the outputs: the prefix of its curves' names in the catalogue, and the width of its lines."""

MOST = len(OKABE_ITO) * len(DASHES)
"""How many levels colour and dash can tell apart."""


def functions(levels: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Both curves of each level of the catalogue; a level has one colour and dash in both panels.

    One that makes two channels of one has a second, thinner curve in both: that of the second half of its outputs.
    """
    if not levels:
        return empty("Choose an activation to draw.")
    figure = make_subplots(rows=1, cols=2, subplot_titles=[title for _, title in PANELS], horizontal_spacing=0.08)
    for place, level in enumerate(levels[:MOST]):
        line = {
            "color": OKABE_ITO[place % len(OKABE_ITO)],
            "dash": DASHES[place // len(OKABE_ITO) % len(DASHES)],
        }
        for half, (prefix, width) in enumerate(HALVES):
            if f"{prefix}function" not in level["curve"]:
                continue
            name = f"{level['name']}, second half" if half else level["name"]
            for column, (part, title) in enumerate(PANELS, start=1):
                trace = go.Scatter(
                    x=level["curve"]["z"],
                    y=level["curve"][prefix + part],
                    mode="lines",
                    line={**line, "width": width},
                    name=level["name"],
                    legendgroup=level["name"],
                    showlegend=column == 1 and not half,
                    hovertemplate=f"{name}<br>z = %{{x:.2f}}: {title} = %{{y:.3g}}<extra></extra>",
                )
                figure.add_trace(trace, row=1, col=column)
    figure.update_xaxes(title="z", zeroline=True, zerolinecolor=NEUTRAL)
    figure.update_yaxes(zeroline=True, zerolinecolor=NEUTRAL)
    figure.update_layout(
        height=420, margin={"l": 40, "r": 10, "t": 40, "b": 40}, legend={"orientation": "h", "y": -0.2}
    )
    return grounded(figure)
