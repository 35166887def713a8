"""The tab of trials: a table of all, and the curves, events and histograms of the one that is chosen."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from actinium.frame import FIRST_FILTERS, layer_series
from actinium.histogram import histogram_series
from actinium.paths import cell_key
from dashboard import palette, session
from dashboard.charts import filters, histograms
from dashboard.charts.ground import grounded
from dashboard.views.page import StudyView, chart
from dashboard.words import factor_title, is_share, metric_word, short_label

HISTOGRAMS = {"activation": "Outputs of each layer", "preactivation": "What each layer's activation receives"}
STATUSES = tuple(palette.STATUS_COLOURS)


def draw(view: StudyView) -> None:
    """Draws the tab."""
    counts = view.study["counts"]["states"]
    trials = session.trials(*view.identity, tuple(counts.values()))
    succeeded = trials["state"] == "succeeded"
    trials = trials.assign(status=trials["state"].where(~succeeded, trials["outcome"]))
    present = [status for status in STATUSES if (trials["status"] == status).any()]
    wanted = st.pills("Status", present, selection_mode="multi", key="trial-status") or present
    words = view.grid.frame()
    places = trials["cell"].map(lambda cell: view.grid.numbers().get(cell_key(cell), -1))
    table = trials.assign(place=places).join(words, on="place")
    table = table[table["status"].isin(wanted)].reset_index(drop=True)
    factors = list(view.grid.levels)
    reused = ["reused_from"] if table["reused_from"].notna().any() else []
    ran = ["id", *factors, "seed", "status", "attempt", *reused, "steps", "seconds"]
    shown = [*ran, *session.TABLE_METRICS, "mlflow", "error"]
    event = st.dataframe(
        table[shown],
        key="trials-table",
        hide_index=True,
        height=480,
        placeholder="",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            **{path: st.column_config.TextColumn(factor_title(path)) for path in factors},
            "id": st.column_config.NumberColumn("trial", format="%d"),
            "reused_from": st.column_config.NumberColumn("reused from", format="%d"),
            "seconds": st.column_config.NumberColumn("seconds", format="%.2f"),
            "mlflow": st.column_config.LinkColumn("MLflow run", display_text="open"),
            "error": st.column_config.TextColumn("error", width="medium"),
            **{
                name: st.column_config.NumberColumn(
                    metric_word(name, view.report.words), format="percent" if is_share(name) else "%.4f"
                )
                for name in session.TABLE_METRICS
            },
        },
    )
    total = sum(counts.values())
    cut = f"The first {len(trials):,} of {total:,} trials. " if len(trials) < total else ""
    st.caption(f"{cut}Choose a row to see the trial's own curve and error.")
    chosen = event["selection"]["rows"]
    if chosen and chosen[0] < len(table):
        _trial(view, table.iloc[chosen[0]].to_dict())


def _trial(view: StudyView, trial: Mapping[Hashable, Any]) -> None:
    st.subheader(
        f"Trial {trial['id']}: {short_label(trial['cell'], tuple(view.grid.levels))}, seed {trial['seed']}",
        anchor=False,
    )
    if trial["error"]:
        st.code(str(trial["error"]), language="text")
    with st.expander("What happened to it"):
        happened = pd.DataFrame(session.events(int(trial["id"])))
        st.dataframe(happened, key="trial-events", hide_index=True, placeholder="")
    frames = session.frames(int(trial["id"]), int(trial["attempt"]), str(trial["state"]))
    losses = [name for name in ("train_loss", "evaluation_loss", "validation_loss") if name in frames]
    if frames.empty or not losses:
        st.write("It has measured nothing yet.")
        return
    figure = go.Figure(
        [
            go.Scatter(
                x=frames["step"].clip(lower=0.5)[frames[name].notna()],  # most frames measure a part of the series
                y=frames[name].dropna(),
                name=metric_word(name),
                mode="lines+markers",
                line={"color": palette.OKABE_ITO[place]},
            )
            for place, name in enumerate(losses)
        ]
    )
    figure.update_xaxes(type="log", title="optimizer step", dtick=1, showgrid=False)
    figure.update_yaxes(type="log", title=f"loss ({view.report.words.loss_unit})", dtick="D2", tickformat=".3~g")
    figure.update_layout(height=320, margin={"l": 60, "r": 8, "t": 8, "b": 48})
    chart(grounded(figure), key="trial-curve", alt="Losses of the chosen trial")
    for of, title in HISTOGRAMS.items():
        _histograms(frames, of, title)
    if (view.study["spec"].get("probes") or {}).get("filters") is not None:
        _filters(trial)


def _filters(trial: Mapping[Hashable, Any]) -> None:
    """Draws the kernels of the first convolution, where the trial has stored them."""
    kernels = session.artifact(int(trial["id"]), int(trial["attempt"]), str(trial["state"]), FIRST_FILTERS)
    if kernels is None:
        return
    st.subheader("Filters of the first convolution", anchor=False)
    chart(filters.tiles(kernels), key="trial-filters", alt=f"{len(kernels)} kernels of the first convolution")
    st.caption("At the end of training, all on one scale.")


def _histograms(frames: pd.DataFrame, of: str, title: str) -> None:
    """Draws histograms of one tensor in every layer at a chosen step; `of` is activation or preactivation."""
    first = layer_series(histogram_series(of)[0], 1)
    if first not in frames or not (measured := frames[frames[first].notna()]).size:
        return
    st.subheader(title, anchor=False)
    steps = [int(step) for step in measured["step"]]
    key = f"trial-{of}-step"
    chosen = st.select_slider("Step", steps, value=steps[-1], key=key) if len(steps) > 1 else steps[0]
    values = measured[measured["step"] == chosen].iloc[0].to_dict()
    figure = histograms.by_layer({str(name): float(value) for name, value in values.items()}, of=of)
    chart(figure, key=f"trial-{of}-histograms", alt=f"{title} at step {chosen}")
    st.caption(
        "Share of values in fixed bins, which widen away from zero: a bell about zero shows two humps. Zeros are in "
        "the first bin above 0."
    )
