"""The tab of effects: how much each factor explains, and how cells differ from their reference cell."""

import math

import pandas as pd
import streamlit as st

from actinium.paths import Cell
from actinium.statistics.families import too_few_seeds
from actinium.terminal.compare import questions
from dashboard import markup
from dashboard.charts import dots
from dashboard.views.page import StudyView, chart
from dashboard.words import (
    cell_phrase,
    interval,
    is_share,
    metric_word,
    number,
    points,
    points_interval,
    probability,
)

MOST_CONTRASTS = 500


def draw(view: StudyView) -> None:
    """Draws the tab."""
    explained = [effect.metric for effect in view.report.factors]
    compared = [contrast.metric for contrast in view.report.contrasts]
    metrics = list(dict.fromkeys([*explained, *compared]))
    if not metrics:
        st.info("Effects and contrasts appear once two seeds of a cell have finished.", icon=":material/hourglass:")
        return
    metric = st.selectbox(
        "Metric", metrics, format_func=lambda name: metric_word(name, view.report.words), key="effects-metric"
    )
    st.subheader("How much each factor explains", anchor=False)
    chart(
        dots.effects(_effects(view, metric)),
        key="effects",
        alt="Omega squared of each factor with its bootstrap interval",
    )
    st.caption("ω²: the share of variance that a factor or an interaction explains; intervals by bootstrap over seeds.")
    if view.report.questions:
        st.subheader("What the study asks", anchor=False)
        _questions(view)
    st.subheader("Contrasts with the reference", anchor=False)
    _contrasts(view, metric)


def _questions(view: StudyView) -> None:
    table = questions(view.report)
    markup.table(table.columns, [list(row) for row in table.rows], numeric=table.numbers, key="questions")
    st.caption(table.note)


def _effects(view: StudyView, metric: str) -> pd.DataFrame:
    rows = [
        {
            "factor": entry.factor,
            "estimate": entry.omega_squared,
            "low": entry.low,
            "high": entry.high,
            "n": entry.n,
        }
        for entry in view.report.factors
        if entry.metric == metric
    ]
    return pd.DataFrame(rows, columns=["factor", "estimate", "low", "high", "n"])


def _contrasts(view: StudyView, metric: str) -> None:
    rate = is_share(metric)
    rows = []
    entries = [entry for entry in view.report.contrasts if entry.metric == metric]
    for entry in entries[:MOST_CONTRASTS]:
        difference, low, high = entry.difference, entry.low, entry.high
        said = points_interval(low, high) if rate else interval(low, high)
        if entry.scale == "log_ratio":
            difference, low, high = (None if v is None else math.exp(v) for v in (difference, low, high))
            said = interval(low, high)
        rows.append(
            [
                cell_phrase(entry.cell),
                cell_phrase(_differing(entry.reference, entry.cell)),
                points(difference) if rate else number(difference),
                said.removeprefix("95% CI "),
                probability(entry.p),
                probability(entry.p_holm),
                entry.n,
            ]
        )
    ratio = any(entry.scale == "log_ratio" for entry in entries)
    unit = "ratio" if ratio else ("difference (points)" if rate else "difference")
    columns = ("cell", "against", unit, "95% CI", "p", "p (Holm)", "seeds")
    markup.table(columns, rows, numeric=columns[2:], key="contrasts", height=560)
    cut = f" The first {MOST_CONTRASTS} of {len(entries):,}." if len(entries) > MOST_CONTRASTS else ""
    st.caption(f"Paired by seed; p by exact sign flips.{_family(view, metric)}{cut}")


def _family(view: StudyView, metric: str) -> str:
    """Over what p values are corrected, and whether the seeds suffice."""
    own = [family for family in view.report.families if not family.named and metric in family.metrics]
    if not own:
        return " Exploratory: in no family that is corrected."
    (family,) = own
    short = too_few_seeds(own)
    corrected = f" Corrected (Holm) over the {family.tests} contrasts of this metric."
    return corrected if short is None else f"{corrected} {short}."


def _differing(reference: Cell, cell: Cell) -> Cell:
    """The levels of `reference` that differ from those of `cell`; all of them where none does."""
    differing = {path: value for path, value in reference.items() if cell.get(path) != value}
    return differing or reference
