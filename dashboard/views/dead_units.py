"""The tab of dead units: their share by layer and over steps, and how many were born dead or died in training."""

import streamlit as st

from actinium.measurements import MEASUREMENTS
from actinium.paths import cell_key
from dashboard.charts import curves
from dashboard.headlines import dead_units
from dashboard.tables import layer_rows
from dashboard.views.page import StudyView, cell_table, chart, headline, said
from dashboard.words import axis_title, metric_word, percent

FAMILY = "dead_units"


def _rates(view: StudyView) -> list[str]:
    """What the family measures at steps, of units and so by layer; what few activations have, where it was measured."""
    measured = {name for entry in view.report.cells for name in entry.metrics}
    return [
        name
        for name, entry in MEASUREMENTS.items()
        if entry.family == FAMILY and not entry.summary_only and (entry.reported or name in measured)
        if not entry.parameter
    ]


def _fates() -> list[str]:
    """The dead at the end, and how units came to be so or not."""
    of_trials = [name for name, entry in MEASUREMENTS.items() if entry.family == FAMILY and entry.summary_only]
    return ["dead_unit_rate", *of_trials]


def _definition(view: StudyView, rate: str) -> str:
    """What a rate is, with the study's threshold where its cells have one."""
    setting = (view.study["spec"].get("probes") or {}).get(FAMILY) or {}
    one = "epsilon" in setting and not any(path.startswith("probes") for path in view.grid.levels)
    said = f"; epsilon is {setting['epsilon']:g}" if one else ""
    return f"{MEASUREMENTS[rate].definition}{said}."


def draw(view: StudyView) -> None:
    """Draws the tab."""
    headline(dead_units(view.report, view.grid), key="dead-units")
    rate = st.selectbox("Measure", _rates(view), format_func=metric_word, key="dead-rate")
    st.caption(_definition(view, rate))
    title = axis_title(rate, view.report.words)
    st.subheader("By layer, at the end of training", anchor=False)
    rows = view.encoding.select(layer_rows(view.by_layer(rate), rate))
    figure = curves.by_layer(rows, view.encoding, title=title)
    chart(figure, key="dead-by-layer", alt="Rate by hidden layer, with 95% intervals over seeds")
    st.caption(f"{view.shown()} Bars are 95% confidence intervals over seeds.")

    st.subheader("Over steps", anchor=False)
    steps = view.curves(rate)
    log_x = st.toggle("Logarithmic steps", value=True, key="dead-log-x")
    figure = curves.over_steps(steps, view.encoding, title=title, log_x=log_x, as_percent=True)
    chart(figure, key="dead-over-steps", alt="Rate over training steps, mean and 95% band over seeds")
    st.caption(f"{view.shown()} Lines are means over running and finished trials, bands 95% confidence intervals.")

    st.subheader("How units came to be dead", anchor=False)
    fates = _fates()
    values = {
        cell_key(entry.cell): [said(entry.metrics.get(metric), show=percent) for metric in fates]
        for entry in view.report.cells
    }
    cell_table(view, [metric_word(name) for name in fates], values, key="trajectory")
    st.caption(
        "Share of units, with the 95% confidence interval of its mean over seeds. None in n seeds: with 95% confidence "
        "fewer than 3 / n of all seeds would show any."
    )
