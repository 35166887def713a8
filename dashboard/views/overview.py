"""The first tab: a headline and a chart for each of the three questions, and which trials are done."""

import streamlit as st

from actinium.questions import EPOCHS_TO_TARGET
from actinium.terminal.compare import mixed_measurements
from dashboard import session
from dashboard.charts import completeness, curves, dots
from dashboard.headlines import headlines
from dashboard.tables import batch_rows, metric_rows, status_rows
from dashboard.views.page import StudyView, chart, headline
from dashboard.words import number, percent

MATRIX_HEIGHT = 620
MOST_ROWS = 100
"""Cells beyond which the matrix is cut to those that are shown: a browser takes seconds for hundreds of rows."""
THIRD = 320
"""Width in pixels of a third of the page."""


def draw(view: StudyView) -> None:
    """Draws the tab."""
    if warning := mixed_measurements(view.report):
        st.warning(warning)
    answers = headlines(view.report, view.grid)
    keys = ("dead-units", "convergence", "small-batches")
    for place, answer, key in zip(st.columns(3), answers, keys, strict=True):
        with place:
            headline(answer, key=key)
    dead, steps, batch = st.columns(3)
    with dead:
        rows = view.encoding.select(metric_rows(view.report, "dead_unit_rate"))
        figure = dots.dots(rows, view.encoding, title="dead units at the end (%)", show=percent)
        chart(figure, key="overview-dead-units", alt="Share of dead units by cell, with 95% intervals")
    with steps:
        rows = view.encoding.select(metric_rows(view.report, EPOCHS_TO_TARGET))
        target = view.report.target.value
        title = "mean epochs to the target" if target is None else f"mean epochs to evaluation loss {number(target)}"
        figure = dots.dots(rows, view.encoding, title=title, show=number)
        chart(
            figure, key="overview-convergence", alt="Restricted mean epochs to the target by cell, with 95% intervals"
        )
    with batch:
        word = view.report.words.error
        figure = curves.against_batch_size(batch_rows(view.report.small_batch), view.grid, width=THIRD, word=word)
        chart(figure, key="overview-small-batches", alt=f"{word.capitalize()} against batch size by normalization")
    st.caption(f"{view.shown()} Bars are 95% confidence intervals over seeds.")
    matrix(view)


def matrix(view: StudyView) -> None:
    """Draws the matrix of trials, cells down and seeds across."""
    st.subheader("Trials by cell and seed", anchor=False)
    counts = view.study["counts"]["states"]
    trials = session.trials(*view.identity, tuple(counts.values()))
    status = status_rows(trials, view.grid)
    if len(view.grid.cells) > MOST_ROWS and not st.toggle(f"All {len(view.grid.cells)} cells", key="every-cell"):
        status = status[status["cell"].isin(view.encoding.cells()["cell"])]
        st.caption(view.shown())
    figure = completeness.completeness(status, view.grid)
    tall = figure.layout.height > MATRIX_HEIGHT
    with st.container(height=MATRIX_HEIGHT if tall else "content", border=False, key="completeness"):
        alt = "State or outcome of every trial, cells down, seeds across"
        chart(figure, key="matrix", alt=alt, width=completeness.width(trials["seed"].nunique()))
    total = sum(counts.values())
    if len(trials) < total:
        st.caption(f"The first {len(trials):,} of {total:,} trials.")
