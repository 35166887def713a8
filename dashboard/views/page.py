"""What every tab of a study's page is given, and the few elements that they share."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from actinium.client.client import JsonObject
from actinium.errors import InvalidInput
from actinium.paths import cell_key
from actinium.report import Interval, Report
from dashboard import markup, session
from dashboard.grid import Encoding, Grid
from dashboard.headlines import Headline
from dashboard.tables import curve_rows
from dashboard.words import factor_title, interval, number, plural

REDRAW = 10.0
"""Seconds after which the curves of a running study are read again, though no trial has finished."""
CHART = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """What a tab draws: the study, its report at that revision, its grid, and how the sidebar has charts show it."""

    study: JsonObject
    report: Report
    grid: Grid
    encoding: Encoding

    @property
    def identity(self) -> tuple[int, int]:
        """Study id and revision: what cached reads are keyed by."""
        return int(self.study["id"]), self.report.revision

    def curves(self, series: str) -> pd.DataFrame:
        """A series by step, for the cells that are shown: a row for each cell and step."""
        tick = int(time.time() // REDRAW) if self.study["state"] in session.ACTIVE else 0
        return self.encoding.select(curve_rows(session.curves(*self.identity, series, tick), self.grid))

    def by_layer(self, metric: str) -> Report:
        """A report that lists this metric layer by layer; for a large study it is read from the API on demand."""
        if metric in self.report.layers:
            return self.report
        try:
            return session.report(*self.identity, (metric,))
        except InvalidInput:
            return self.report

    def shown(self) -> str:
        """How many cells are shown and which levels are held: `Shown: 9 of 27 cells (batch size 64)`."""
        held = ", ".join(f"{factor_title(path)} {word}" for path, word in self.encoding.held().items())
        return f"Shown: {len(self.encoding.cells())} of {len(self.grid.cells)} cells{f' ({held})' if held else ''}."


def chart(figure: go.Figure, *, key: str, alt: str, width: int | Literal["stretch"] = "stretch") -> None:
    """Draws a figure; `key` is the element's name on the page, `alt` its text for those who cannot see it."""
    st.plotly_chart(figure, width=width, key=key, config=CHART, alt=alt)


def headline(answer: Headline, *, key: str) -> None:
    """Draws a headline in a frame: the question, its figure and its sentence."""
    with st.container(border=True, key=f"headline-{key}", height="stretch"):
        markup.figure(answer.question, answer.figure, key=f"figure-{key}")
        st.markdown(answer.sentence)


def said(found: Interval | None, *, show: Callable[[float | None], str] = number) -> str:
    """An estimate with its interval in brackets: `31% (24–38%)`; where no seed showed any, `0% (none in 6 seeds, at
    most 50% of seeds)`.
    """
    if found is None:
        return show(None)
    if found.zero_event_bound is not None:
        most = show(found.zero_event_bound)
        return f"{show(found.estimate)} (none in {plural(found.n, 'seed')}, at most {most} of seeds)"
    if found.low is None:
        return show(found.estimate)
    return f"{show(found.estimate)} ({interval(found.low, found.high, show=show).removeprefix('95% CI ')})"


def cell_table(
    view: StudyView, columns: Sequence[str], values: Mapping[str, Sequence[str]], *, key: str, height: int | None = 420
) -> None:
    """A table with a row for each cell that is shown: its levels, then its `values`, which are found by `cell_key`."""
    paths = list(view.grid.levels)
    rows: list[list[Any]] = []
    for place, *words in view.encoding.cells()[["cell", *paths]].itertuples(index=False):
        found = values.get(cell_key(view.grid.cells[place]))
        if found is not None:
            rows.append([*words, *found])
    markup.table([*(factor_title(path) for path in paths), *columns], rows, numeric=columns, key=key, height=height)
