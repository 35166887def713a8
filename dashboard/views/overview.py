"""The three answers in five seconds, one chart each, and which trials are done."""

import streamlit as st

from actinium.terminal.compare import mixed_measurements
from dashboard import session
from dashboard.charts import completeness, curves, dots
from dashboard.headlines import headlines
from dashboard.tables import batch_rows, metric_rows, status_rows
from dashboard.views.page import StudyPage, chart, headline
from dashboard.words import number, percent, whole

MATRIX_HEIGHT = 620
MOST_ROWS = 100
"""More cells than this are drawn on demand only: the browser takes seconds for hundreds of rows."""
THIRD = 320
"""Pixels of a third of the page."""


def draw(page: StudyPage) -> None:
    """Draws the tab."""
    if warning := mixed_measurements(page.report):
        st.warning(warning)
    answers = headlines(page.report, page.grid)
    keys = ("dead-units", "convergence", "small-batches")
    for place, answer, key in zip(st.columns(3), answers, keys, strict=True):
        with place:
            headline(answer, key=key)
    dead, steps, batch = st.columns(3)
    with dead:
        rows = page.look.select(metric_rows(page.report, "dead_unit_rate"))
        figure = dots.dots(rows, page.look, title="dead units at the end (%)", show=percent)
        chart(figure, key="overview-dead-units", alt="Share of dead units by cell, with 95% intervals")
    with steps:
        rows = page.look.select(metric_rows(page.report, "steps_to_target"))
        target = page.report.target.value
        title = "mean steps to the target" if target is None else f"mean steps to validation loss {number(target)}"
        figure = dots.dots(rows, page.look, title=title, show=whole)
        chart(figure, key="overview-convergence", alt="Restricted mean steps to the target by cell, with 95% intervals")
    with batch:
        word = page.report.words.error
        figure = curves.against_batch_size(batch_rows(page.report.small_batch), page.grid, width=THIRD, word=word)
        chart(figure, key="overview-small-batches", alt=f"{word.capitalize()} against batch size by normalization")
    st.caption(f"{page.shown()} Bars are 95% confidence intervals over seeds.")
    matrix(page)


def matrix(page: StudyPage) -> None:
    """The completeness of the grid."""
    st.subheader("Trials by cell and seed", anchor=False)
    counts = page.study["counts"]["states"]
    trials = session.trials(*page.identity, tuple(counts.values()))
    status = status_rows(trials, page.grid)
    if len(page.grid.cells) > MOST_ROWS and not st.toggle(f"All {len(page.grid.cells)} cells", key="every-cell"):
        status = status[status["cell"].isin(page.look.cells()["cell"])]
        st.caption(page.shown())
    figure = completeness.completeness(status, page.grid)
    tall = figure.layout.height > MATRIX_HEIGHT
    with st.container(height=MATRIX_HEIGHT if tall else "content", border=False, key="completeness"):
        alt = "State or outcome of every trial, cells down, seeds across"
        chart(figure, key="matrix", alt=alt, width=completeness.width(trials["seed"].nunique()))
    total = sum(counts.values())
    if len(trials) < total:
        st.caption(f"The first {len(trials):,} of {total:,} trials.")
