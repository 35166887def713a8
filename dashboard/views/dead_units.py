"""The tab of dead units: their share by layer and over steps, and how many were born dead or died in training."""

import streamlit as st

from actinium.paths import cell_key
from dashboard.charts import curves
from dashboard.headlines import dead_units
from dashboard.tables import layer_rows
from dashboard.views.page import StudyView, cell_table, chart, headline, said
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
"""Offered where a cell has an activation that makes two channels of one, or one of two."""
TRAJECTORY = {
    "dead_unit_rate": "dead at the end",
    "born_dead_rate": "born dead",
    "died_rate": "died",
    "transient_rate": "dead for a while",
    "revived_rate": "revived",
}


def draw(view: StudyView) -> None:
    """Draws the tab."""
    headline(dead_units(view.report, view.grid), key="dead-units")
    measured = {name for entry in view.report.cells for name in entry.metrics}
    rates = RATES | {name: words for name, words in HALVES.items() if name in measured}
    rate = st.selectbox("Measure", list(rates), format_func=rates.__getitem__, key="dead-rate")
    st.subheader("By layer, at the end of training", anchor=False)
    rows = view.encoding.select(layer_rows(view.by_layer(rate), rate))
    figure = curves.by_layer(rows, view.encoding, title="units (%)")
    chart(figure, key="dead-by-layer", alt="Rate by hidden layer, with 95% intervals over seeds")
    st.caption(f"{view.shown()} Bars are 95% confidence intervals over seeds.")

    st.subheader("Over steps", anchor=False)
    steps = view.curves(rate)
    log_x = st.toggle("Logarithmic steps", value=True, key="dead-log-x")
    figure = curves.over_steps(steps, view.encoding, title="units (%)", log_x=log_x, as_percent=True)
    chart(figure, key="dead-over-steps", alt="Rate over training steps, mean and 95% band over seeds")
    st.caption(f"{view.shown()} Lines are means over running and finished trials, bands 95% confidence intervals.")

    st.subheader("How units came to be dead", anchor=False)
    values = {
        cell_key(entry.cell): [said(entry.metrics.get(metric), show=percent) for metric in TRAJECTORY]
        for entry in view.report.cells
    }
    cell_table(view, list(TRAJECTORY.values()), values, key="trajectory")
    st.caption(
        "Share of units, with the 95% confidence interval of its mean over seeds. None in n seeds: with 95% confidence "
        "fewer than 3 / n of all seeds would show any."
    )
