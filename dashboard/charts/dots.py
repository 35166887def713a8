"""Charts with a dot and its 95% interval for each cell, or for each factor."""

import math
import textwrap
from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go

from actinium.levels import LEVEL_KINDS
from dashboard import palette
from dashboard.charts.ground import bars, empty, grounded
from dashboard.grid import Encoding
from dashboard.words import factor_title, interval, number, percent

ROW = 21
"""Height in pixels of a row of dots."""
NARROW = 30
"""Characters in a line of a title or label, where three charts share the width of a page."""


def dots(
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    title: str,
    show: Callable[[float | None], str] = number,
    log: bool = False,
) -> go.Figure:
    """A metric with its 95% interval, a row for each cell, grouped by the facet factor, coloured by the colour factor.

    `rows`: tables.metric_rows after `encoding.select`. `show` writes a value; with `percent` the axis is one of rates.
    """
    if rows.empty:
        return empty("Nothing to show for the chosen levels yet.")
    drawn, ticks, headings, height = _stacked(rows, encoding)
    rate = show is percent
    colours = encoding.colours()
    figure = go.Figure()
    for level, own in drawn.groupby(encoding.colour, sort=False) if encoding.colour else [("", drawn)]:
        figure.add_trace(
            go.Scatter(
                x=own["estimate"],
                y=own["at"],
                error_x=bars(own),
                mode="markers",
                marker={"color": colours.get(str(level), palette.OKABE_ITO[0]), "size": 9},
                name=str(level),
                showlegend=False,
                customdata=[_said(row, show) for _, row in own.iterrows()],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    for _, row in drawn.iterrows():
        end = float(row["high"] if pd.notna(row["high"]) else row["estimate"])
        figure.add_annotation(
            text=show(float(row["estimate"])),
            x=math.log10(end) if log else end,
            y=row["at"],
            xanchor="left",
            xshift=6,
            showarrow=False,
            font_size=11,
        )
    for at, heading in headings.items():
        figure.add_annotation(
            text=f"<b>{heading}</b>", x=0, xref="paper", xanchor="left", y=at, showarrow=False, font_size=11
        )
    low, high = _reach(drawn, log=log, rate=rate)
    figure.update_xaxes(
        range=[low, high + 0.16 * (high - low)],
        type="log" if log else "linear",
        title={"text": _wrapped(title), "standoff": 6, "font_size": 12},
        zeroline=False,
        tickformat=(".0%" if high > 0.05 else ".1%") if rate else None,
    )
    figure.update_yaxes(
        tickvals=list(ticks), ticktext=list(ticks.values()), range=[height, -0.7], showgrid=False, zeroline=False
    )
    figure.update_layout(height=int(ROW * (height + 0.7)) + 58, margin={"l": 8, "r": 8, "t": 6, "b": 52})
    return grounded(figure)


def _stacked(rows: pd.DataFrame, encoding: Encoding) -> tuple[pd.DataFrame, dict[float, str], dict[float, str], float]:
    """The rows with their place `at` from the top, names and headings at the places, and how many rows there are."""
    told = tuple(path for path in (encoding.colour, *encoding.rest()) if path)
    ranks = {path: {word: place for place, word in enumerate(encoding.kept(path))} for path in told}
    ticks: dict[float, str] = {}
    headings: dict[float, str] = {}
    parts: list[pd.DataFrame] = []
    at = 0.0
    for facet in encoding.facets():
        own = rows[rows[encoding.facet] == facet] if encoding.facet else rows
        if own.empty:
            continue
        if facet:
            headings[at] = str(facet)
            at += 1.0
        places = [tuple(ranks[path][str(row[path])] for path in told) for _, row in own.iterrows()]
        own = own.iloc[sorted(range(len(own)), key=places.__getitem__)]
        own = own.assign(at=[at + place for place in range(len(own))])
        for _, row in own.iterrows():
            ticks[float(row["at"])] = _wrapped(" · ".join(_word(path, row[path]) for path in told)) or "all trials"
        parts.append(own)
        at += len(own) + 0.4
    return pd.concat(parts), ticks, headings, at - 0.2


def effects(rows: pd.DataFrame, *, title: str = "share of variance explained (ω²)") -> go.Figure:
    """Factor effects with their intervals, largest first. `rows`: factor, estimate, low, high."""
    if rows.empty:
        return empty("Factor effects need at least two seeds and two levels.")
    drawn = rows.sort_values("estimate")
    figure = go.Figure(
        go.Scatter(
            x=drawn["estimate"],
            y=[factor_title(name) for name in drawn["factor"]],
            error_x=bars(drawn),
            mode="markers",
            marker={"color": palette.OKABE_ITO[0], "size": 9},
            hovertemplate="%{y}: %{x:.1%}<extra></extra>",
        )
    )
    figure.update_xaxes(title={"text": title, "standoff": 6}, range=[-0.03, 1.0], tickformat=".0%", zeroline=False)
    figure.update_layout(height=ROW * 2 * len(drawn) + 60, margin={"l": 8, "r": 8, "t": 6, "b": 52})
    return grounded(figure)


def _word(path: str, word: str) -> str:
    return word if path in LEVEL_KINDS else f"{factor_title(path)} {word}"


def _wrapped(text: str) -> str:
    return "<br>".join(textwrap.wrap(text, NARROW))


def _said(row: pd.Series, show: Callable[[float | None], str]) -> str:
    low, high = (None if pd.isna(row[end]) else float(row[end]) for end in ("low", "high"))
    return f"{show(float(row['estimate']))} ({interval(low, high, show=show)}), n={row['n']:.0f}"


def _reach(rows: pd.DataFrame, *, log: bool, rate: bool) -> tuple[float, float]:
    """Ends of the axis in plotly's coordinates; linear ones include zero."""
    values = [float(v) for column in ("estimate", "low", "high") for v in rows[column].dropna()]
    if log:
        placed = [math.log10(v) for v in values if v > 0] or [0.0, 1.0]
        low, high = min(placed), max(placed)
    else:
        low, high = min(0.0, *values), max(*values, 0.02 if rate else 0.0)
    width = (high - low) or 1.0
    return low - 0.03 * width, high + 0.03 * width
