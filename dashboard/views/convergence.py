"""The tab of convergence: learning curves, survival curves of the epochs to the target, and their restricted mean."""

import streamlit as st

from actinium.paths import cell_key
from actinium.questions import EPOCHS_TO_TARGET
from actinium.terminal.compare import goal
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

    target = view.report.target
    short = "the target" if target.value is None else f"evaluation loss {number(target.value)}"
    st.subheader(f"Trials not yet at {short}", anchor=False)
    figure = curves.survival(view.encoding.select(survival_rows(view.report, view.grid)), view.encoding)
    chart(figure, key="survival", alt="Kaplan-Meier curves of the epochs to the target")
    st.caption(f"The target is {goal(target)}. A diverged trial never reaches it and stays in the count.")

    st.subheader("Time to the target, and collapse", anchor=False)
    reached = {cell_key(curve.cell): curve.reached for curve in view.report.convergence.curves}
    values_by_cell = {
        cell_key(entry.cell): [
            said(entry.metrics.get(EPOCHS_TO_TARGET)),
            said(entry.metrics.get("steps_to_target"), show=whole),
            said(reached.get(cell_key(entry.cell)), show=percent),
            said(entry.collapse_rate, show=percent),
            str(entry.diverged),
            f"{entry.succeeded} of {entry.seeds}",
        ]
        for entry in view.report.cells
    }
    means = ["mean epochs (95% CI)", "mean steps (95% CI)"]
    columns = [*means, "reached it (95% CI)", "collapsed (95% CI)", "diverged", "seeds done"]
    cell_table(view, columns, values_by_cell, key="rmst")
    st.caption(
        "Means are restricted to the budget: a trial that never arrives counts with all of it, so a mean can hide "
        "collapsed trials; the share that did not learn (stalled or diverged, Wilson interval) stands beside it. Steps "
        "of different batch sizes are different amounts of data: compare epochs."
    )
