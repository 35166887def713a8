"""What all figures share: a transparent background, an empty figure, and error bars."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go


def grounded(figure: go.Figure) -> go.Figure:
    """The figure on a transparent ground, so that it takes the page's light or dark theme."""
    return figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")


def empty(sentence: str) -> go.Figure:
    """A figure that says why there is nothing to see."""
    figure = go.Figure()
    figure.add_annotation(text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.update_layout(height=140, xaxis_visible=False, yaxis_visible=False)
    return grounded(figure)


def bars(rows: pd.DataFrame) -> dict[str, Any]:
    """Plotly's asymmetric bars from `estimate` to `low` and `high`; of no length where there is no interval."""
    return {
        "type": "data",
        "symmetric": False,
        "array": (rows["high"] - rows["estimate"]).fillna(0.0),
        "arrayminus": (rows["estimate"] - rows["low"]).fillna(0.0),
        "thickness": 1.5,
        "width": 3,
    }
