"""The tab of convergence: learning curves, survival curves of the time to the target, and its restricted mean."""

import streamlit as st

from actinium.paths import cell_key
from dashboard.charts import curves
from dashboard.headlines import convergence
from dashboard.tables import survival_rows
from dashboard.views.page import StudyView, cell_table, chart, headline, said
from dashboard.words import axis_title, is_share, number, percent, whole

SERIES = ("evaluation_loss", "train_loss", "validation_loss", "validation_accuracy")


def draw(view: StudyView) -> None:
    """Draws the tab."""
    headline(convergence(view.report, view.grid), key="convergence")
    st.subheader("Learning curves", anchor=False)
    titles = {name: axis_title(name, view.report.words) for name in SERIES}
    choice, steps, values, _ = st.columns([3, 2, 2, 2], vertical_alignment="bottom")
    series = choice.selectbox("Series", SERIES, format_func=titles.__getitem__, key="series")
    log_x = steps.toggle("Logarithmic steps", value=True, key="log-x")
    rate = is_share(series)
    log_y = values.toggle("Logarithmic values", value=not rate, disabled=rate, key=f"log-y-{rate}") and not rate
    rows = view.curves(series)
    if rows.empty and series == SERIES[0]:  # a study of before evaluations had a series of their own
        rows = view.curves("validation_loss")
    figure = curves.over_steps(rows, view.encoding, title=titles[series], log_x=log_x, log_y=log_y, as_percent=rate)
    chart(figure, key="learning-curves", alt="Learning curves by cell, mean and 95% band over seeds")
    st.caption(f"{view.shown()} Lines are means over running and finished trials, bands 95% confidence intervals.")

    target = view.report.target.value
    goal = "the target" if target is None else f"evaluation loss {number(target)}"
    st.subheader(f"Trials not yet at {goal}", anchor=False)
    figure = curves.survival(view.encoding.select(survival_rows(view.report, view.grid)), view.encoding, log_x=log_x)
    chart(figure, key="survival", alt="Kaplan-Meier curves of the time to the target")
    st.caption("A diverged trial never reaches the target and stays in the count.")

    st.subheader("Time to the target, and collapse", anchor=False)
    reached = {cell_key(curve.cell): curve.reached for curve in view.report.convergence.curves}
    values_by_cell = {
        cell_key(entry.cell): [
            said(entry.metrics.get("steps_to_target"), show=whole),
            said(reached.get(cell_key(entry.cell)), show=percent),
            said(entry.collapse_rate, show=percent),
            str(entry.diverged),
            f"{entry.succeeded} of {entry.seeds}",
        ]
        for entry in view.report.cells
    }
    columns = ["mean steps (95% CI)", "reached it (95% CI)", "collapsed (95% CI)", "diverged", "seeds done"]
    cell_table(view, columns, values_by_cell, key="rmst")
    st.caption(
        "Mean steps are restricted to the budget: a trial that never arrives counts with all its steps, so a mean can "
        "hide collapsed trials; the collapse rate (stalled or diverged, Wilson interval) stands beside it."
    )
