"""What every tab of a study's page is given, and the few elements that they share."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from actinium.errors import InvalidInput
from actinium.paths import cell_key
from actinium.report import Interval, Report
from dashboard import markup, session
from dashboard.grid import Grid, Look
from dashboard.headlines import Headline
from dashboard.tables import curve_rows
from dashboard.words import factor_title, interval, number, plural

REDRAW = 10.0
"""Seconds after which the curves of a running study are read again, though no trial has finished."""
CHART = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


@dataclass(frozen=True, kw_only=True)
class StudyPage:
    """A study as it stands, its report at that revision, and what the sidebar chose to show."""

    study: session.Document
    report: Report
    grid: Grid
    look: Look

    @property
    def identity(self) -> tuple[int, int]:
        """Study id and revision: what cached reads are keyed by."""
        return int(self.study["id"]), self.report.revision

    def curves(self, series: str) -> pd.DataFrame:
        """Rows of a series by step of the shown cells."""
        tick = int(time.time() // REDRAW) if self.study["state"] in session.ACTIVE else 0
        return self.look.select(curve_rows(session.curves(*self.identity, series, tick), self.grid))

    def by_layer(self, metric: str) -> Report:
        """The report with a metric's layers: a large study's lists them only when asked."""
        if metric in self.report.layers:
            return self.report
        try:
            return session.report(*self.identity, (metric,))
        except InvalidInput:
            return self.report

    def shown(self) -> str:
        """`Shown: 9 of 27 cells (batch size 64)`."""
        held = ", ".join(f"{factor_title(path)} {word}" for path, word in self.look.held().items())
        return f"Shown: {len(self.look.cells())} of {len(self.grid.cells)} cells{f' ({held})' if held else ''}."


def chart(figure: go.Figure, *, key: str, alt: str, width: int | Literal["stretch"] = "stretch") -> None:
    """A figure in the page's theme; `key` names the element, `alt` says what is to be seen in it."""
    st.plotly_chart(figure, width=width, key=key, config=CHART, alt=alt)


def headline(answer: Headline, *, key: str) -> None:
    """A question, its figure and its sentence, in a frame."""
    with st.container(border=True, key=f"headline-{key}", height="stretch"):
        markup.figure(answer.question, answer.figure, key=f"figure-{key}")
        st.markdown(answer.sentence)


def said(found: Interval | None, *, show: Callable[[float | None], str] = number) -> str:
    """An estimate with its interval in brackets: `31% (24–38%)`; `0% (none in 6 seeds)` where no seed showed any."""
    if found is None:
        return show(None)
    if found.zero_event_bound is not None:
        return f"{show(found.estimate)} (none in {plural(found.n, 'seed')})"
    if found.low is None:
        return show(found.estimate)
    return f"{show(found.estimate)} ({interval(found.low, found.high, show=show).removeprefix('95% CI ')})"


def cell_table(
    page: StudyPage, columns: Sequence[str], values: Mapping[str, Sequence[str]], *, key: str, height: int | None = 420
) -> None:
    """A row a shown cell: its levels, then `values` by the cell's key."""
    paths = list(page.grid.levels)
    rows: list[list[Any]] = []
    for place, *words in page.look.cells()[["cell", *paths]].itertuples(index=False):
        found = values.get(cell_key(page.grid.cells[place]))
        if found is not None:
            rows.append([*words, *found])
    markup.table([*(factor_title(path) for path in paths), *columns], rows, numeric=columns, key=key, height=height)
