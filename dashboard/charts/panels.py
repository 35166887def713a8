"""Panels of lines side by side, one panel for each level of the facet factor: the form of most charts.

Grounds are transparent and text carries no colour of its own, so that a figure takes the page's light or dark theme.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import palette
from dashboard.charts.ground import empty, grounded
from dashboard.grid import Encoding
from dashboard.words import factor_title

PANEL_HEIGHT = 270
LABEL_GAP = 15
"""Least distance in pixels between two labels at line ends: the height of a line of text."""
CHARACTER = 6.6
"""Approximate width in pixels of a character in a label."""
PAGE_WIDTH = 960
"""Width in pixels of a figure over the whole page on a common screen, from which the room for labels is reckoned."""
MOST_LABELS = 7
"""More lines than this in a panel get a legend in place of direct labels."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: its column, its title with the unit, and how values are laid out on it."""

    column: str
    title: str
    log: bool = False
    percent: bool = False
    whole: bool = False
    powers_of_two: bool = False

    def place(self, value: float) -> float:
        """Where plotly puts a value: log10 of it on a logarithmic axis."""
        return math.log10(value) if self.log else value


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel; `place` is the place of its colour's level among all levels of that factor."""

    label: str
    place: int
    colour: str
    dash: str
    symbol: str
    rows: pd.DataFrame


def lines_of(rows: pd.DataFrame, encoding: Encoding) -> list[Line]:
    """The lines of one facet: a colour for each level of the colour factor, a dash and symbol for each combination of
    factors that are neither colour nor facet.
    """
    rest = encoding.rest()
    combinations = list(itertools.product(*(encoding.kept(path) for path in rest)))
    colours = encoding.colours() or {"": palette.OKABE_ITO[0]}
    found = []
    for number, (level, colour) in enumerate(colours.items()):
        of_level = rows[rows[encoding.colour] == level] if encoding.colour else rows
        for place, combination in enumerate(combinations):
            own = of_level
            for path, word in zip(rest, combination, strict=True):
                own = own[own[path] == word]
            if own.empty:
                continue
            words = [f"{factor_title(path)} {word}" for path, word in zip(rest, combination, strict=True)]
            style = (place + number // len(palette.OKABE_ITO)) % len(palette.DASHES)
            found.append(
                Line(
                    label=" · ".join([level, *words] if level else words) or "all trials",
                    place=number,
                    colour=colour,
                    dash=palette.DASHES[style],
                    symbol=palette.SYMBOLS[style],
                    rows=own,
                )
            )
    return found


def panels(
    rows: pd.DataFrame,
    encoding: Encoding,
    *,
    x: Axis,
    y: Axis,
    draw: Callable[[go.Figure, Line, int, int], None],
    columns: int = 3,
    width: int = PAGE_WIDTH,
    floor: float | None = None,
) -> go.Figure:
    """The facets of `encoding` as panels with common axes; `draw(figure, line, row, column)` adds one line's traces.

    `rows` has the axes' columns, `low` and `high`, and the factors' level words. `floor` is the least upper end of
    the y axis, so that a panel of zeros is not drawn as noise. `width`: about how many pixels the page gives it.
    """
    if rows.empty:
        return empty("Nothing to show for the chosen levels yet.")
    titles = encoding.facets()
    wide = min(columns, len(titles))
    high = math.ceil(len(titles) / wide)
    height = high * PANEL_HEIGHT + (high - 1) * 60
    figure = make_subplots(
        rows=high,
        cols=wide,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[f"<b>{title}</b>" if title else "" for title in titles],
        horizontal_spacing=0.03,
        vertical_spacing=60 / height if high > 1 else 0.0,
    )
    groups = [lines_of(rows[rows[encoding.facet] == t] if encoding.facet else rows, encoding) for t in titles]
    direct = max(len(group) for group in groups) <= MOST_LABELS
    span = _range(rows[x.column], x, pad=0.05 if x.whole else 0.02)
    if direct:
        longest = max(len(line.label) for group in groups for line in group)
        room = min(0.55, (longest * CHARACTER + 24) / ((width - 80) / wide))
        span = (span[0], span[1] + (span[1] - span[0]) * room / (1 - room))
    values = pd.concat([rows[c] for c in (y.column, "low", "high") if c in rows]).dropna()
    reach = _range(values, y, pad=0.05, floor=floor)
    listed: set[str] = set()
    for place, group in enumerate(groups):
        row, column = place // wide + 1, place % wide + 1
        for line in group:
            draw(figure, line, row, column)
            figure.data[-1].update(showlegend=not direct and line.label not in listed, legendgroup=line.label)
            listed.add(line.label)
        if direct:
            _label_ends(figure, group, x, y, reach, row=row, column=column)
    _axes(figure, x, y, span, reach, rows, titles=len(titles), wide=wide)
    top = 34 if any(titles) else 10
    figure.update_layout(
        height=height + top + 54 + (40 if not direct else 0),
        margin={"l": 66, "r": 8, "t": top, "b": 54 + (40 if not direct else 0)},
        legend={"orientation": "h", "y": -0.16 / high, "yanchor": "top", "x": 0},
        hovermode="closest",
    )
    return grounded(figure)


def band(figure: go.Figure, line: Line, x: str, *, row: int, column: int, floor: float | None = None) -> None:
    """Draws the area between `low` and `high` behind a line. `floor` keeps it drawable on a logarithmic axis."""
    rows = line.rows.dropna(subset=["low", "high"])
    if rows.empty:
        return
    low = rows["low"].clip(lower=floor) if floor is not None else rows["low"]
    figure.add_trace(
        go.Scatter(
            x=[*rows[x], *rows[x][::-1]],
            y=[*rows["high"], *low[::-1]],
            fill="toself",
            fillcolor=palette.translucent(line.colour, 0.16),
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=line.label,
        ),
        row=row,
        col=column,
    )


def _range(values: pd.Series, axis: Axis, *, pad: float, floor: float | None = None) -> tuple[float, float]:
    """Ends of an axis in plotly's coordinates: the data with a margin; rates start at zero."""
    usable = values[values > 0] if axis.log else values
    if usable.empty:
        return (0.0, 1.0)
    low, high = axis.place(float(usable.min())), axis.place(float(usable.max()))
    if axis.percent:
        low, high = min(0.0, low), max(high, floor or 0.0)
    width = (high - low) or 1.0
    return (low - pad * width, high + pad * width)


def _axes(
    figure: go.Figure,
    x: Axis,
    y: Axis,
    span: tuple[float, float],
    reach: tuple[float, float],
    rows: pd.DataFrame,
    *,
    titles: int,
    wide: int,
) -> None:
    figure.update_xaxes(range=span, type="log" if x.log else "linear", zeroline=False, showgrid=False, ticks="outside")
    figure.update_yaxes(range=reach, type="log" if y.log else "linear", zeroline=False)
    if y.percent:
        figure.update_yaxes(tickformat=".0%" if reach[1] - reach[0] > 0.05 else ".1%")
    if y.log:
        ticks = log_ticks(10 ** reach[0], 10 ** reach[1])
        figure.update_yaxes(tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    seen = sorted(float(v) for v in rows[x.column].unique())
    if x.powers_of_two or (x.whole and len(seen) <= 12):
        figure.update_xaxes(tickvals=seen, ticktext=[f"{v:g}" for v in seen])
    elif x.log:
        ticks = [10**k for k in range(9) if 10**k <= max(seen)]
        figure.update_xaxes(tickvals=ticks, ticktext=[f"{t:,}" for t in ticks])
    last = range(max(1, titles - wide + 1), titles + 1)
    for place in range(1, titles + 1):
        row, column = (place - 1) // wide + 1, (place - 1) % wide + 1
        if place in last:
            figure.update_xaxes(title_text=x.title, title_standoff=6, showticklabels=True, row=row, col=column)
        if column == 1:
            figure.update_yaxes(title_text=y.title, title_standoff=8, row=row, col=column)


def log_ticks(low: float, high: float) -> list[float]:
    """Round values between the two: 1, 2 and 5 of each decade, or the decades alone where there are many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if len(decades) <= 4 else (1,)
    return [float(f"{step}e{decade}") for decade in decades for step in steps if low <= step * 10.0**decade <= high]


def _label_ends(
    figure: go.Figure, lines: Sequence[Line], x: Axis, y: Axis, reach: tuple[float, float], *, row: int, column: int
) -> None:
    """Writes each line's name at its end, moved apart where two would overlap."""
    scale = PANEL_HEIGHT / (reach[1] - reach[0])
    ends = []
    for line in lines:
        end = line.rows.sort_values(x.column).iloc[-1]
        value = float(end[y.column])
        if y.log and value <= 0:
            continue
        ends.append(((y.place(value) - reach[0]) * scale, line, x.place(float(end[x.column])), y.place(value)))
    ends.sort(key=lambda item: item[0])
    wanted = [item[0] for item in ends]
    for (pixel, line, at, value), moved in zip(ends, spread(wanted, PANEL_HEIGHT), strict=True):
        figure.add_annotation(
            text=f'<span style="color:{line.colour}">●</span> {line.label}',
            x=at,
            y=value,
            yshift=moved - pixel,
            xshift=7,
            xanchor="left",
            yanchor="middle",
            showarrow=False,
            font_size=12,
            row=row,
            col=column,
        )


def spread(wanted: Sequence[float], height: float) -> list[float]:
    """Ascending positions at least LABEL_GAP apart, near those wanted, inside 0..height where they fit."""
    placed: list[float] = []
    for position in wanted:
        placed.append(max(position, placed[-1] + LABEL_GAP) if placed else position)
    ceiling = height - LABEL_GAP / 2
    for place in range(len(placed) - 1, -1, -1):
        placed[place] = min(placed[place], ceiling)
        ceiling = placed[place] - LABEL_GAP
    return placed
