"""Dead units: by layer, over steps, and how they came to be dead."""

import streamlit as st

from actinium.paths import cell_key
from dashboard.charts import curves
from dashboard.headlines import dead_units
from dashboard.tables import layer_rows
from dashboard.views.page import StudyPage, cell_table, chart, headline, said
from dashboard.words import percent

RATES = {
    "dead_unit_rate": "gradient-dead: the slope is below the study's threshold on every probe example",
    "off_rate": "off: the output is at or below zero on every probe example",
    "saturated_rate": "saturated: share of unit-example pairs on a flat part",
}
HALVES = {
    "dead_half_rate": "gradient-dead halves, of units that make two channels of one or one of two",
    "off_half_rate": "off halves, of units that make two channels of one",
}
"""Measured where a cell has such an activation."""
TRAJECTORY = {
    "dead_unit_rate": "dead at the end",
    "born_dead_rate": "born dead",
    "died_rate": "died",
    "transient_rate": "dead for a while",
    "revived_rate": "revived",
}


def draw(page: StudyPage) -> None:
    """Draws the tab."""
    headline(dead_units(page.report, page.grid), key="dead-units")
    measured = {name for entry in page.report.cells for name in entry.metrics}
    rates = RATES | {name: words for name, words in HALVES.items() if name in measured}
    rate = st.selectbox("Measure", list(rates), format_func=rates.__getitem__, key="dead-rate")
    st.subheader("By layer, at the end of training", anchor=False)
    rows = page.look.select(layer_rows(page.by_layer(rate), rate))
    figure = curves.by_layer(rows, page.look, title="units (%)")
    chart(figure, key="dead-by-layer", alt="Rate by hidden layer, with 95% intervals over seeds")
    st.caption(f"{page.shown()} Bars are 95% confidence intervals over seeds.")

    st.subheader("Over steps", anchor=False)
    steps = page.curves(rate)
    log_x = st.toggle("Logarithmic steps", value=True, key="dead-log-x")
    figure = curves.over_steps(steps, page.look, title="units (%)", log_x=log_x, as_percent=True)
    chart(figure, key="dead-over-steps", alt="Rate over training steps, mean and 95% band over seeds")
    st.caption(f"{page.shown()} Lines are means over running and finished trials, bands 95% confidence intervals.")

    st.subheader("How units came to be dead", anchor=False)
    values = {
        cell_key(entry.cell): [said(entry.metrics.get(metric), show=percent) for metric in TRAJECTORY]
        for entry in page.report.cells
    }
    cell_table(page, list(TRAJECTORY.values()), values, key="trajectory")
    st.caption(
        "Share of units, with the 95% confidence interval of its mean over seeds. None in n seeds: with 95% confidence "
        "fewer than 3 / n of all seeds would show any."
    )
