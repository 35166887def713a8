"""Which factors matter, and which cells differ from their reference."""

import math

import pandas as pd
import streamlit as st

from dashboard import markup
from dashboard.charts import dots
from dashboard.tables import estimate_of
from dashboard.views.page import StudyPage, chart
from dashboard.words import cell_phrase, factor_title, interval, number, points, points_interval, probability

MOST_CONTRASTS = 500
RATES = ("_rate", "_error", "_accuracy", "_gap")


def draw(page: StudyPage) -> None:
    """Draws the tab."""
    found = [*page.report["factors"], *page.report["contrasts"]]
    metrics = list(dict.fromkeys(str(entry.get("metric", "")) for entry in found))
    if not metrics:
        st.info("Effects and contrasts appear once two seeds of a cell have finished.", icon=":material/hourglass:")
        return
    metric = st.selectbox("Metric", metrics, format_func=factor_title, key="effects-metric")
    st.subheader("How much each factor explains", anchor=False)
    chart(
        dots.effects(_effects(page, metric)),
        key="effects",
        alt="Omega squared of each factor with its bootstrap interval",
    )
    st.caption("ω²: the share of variance that a factor or an interaction explains; intervals by bootstrap over seeds.")
    st.subheader("Contrasts with the reference", anchor=False)
    _contrasts(page, metric)


def _effects(page: StudyPage, metric: str) -> pd.DataFrame:
    rows = []
    for entry in page.report["factors"]:
        if str(entry.get("metric", "")) == metric:
            own = estimate_of({**entry, "estimate": entry["omega_squared"]})
            rows.append({"factor": entry["factor"], **own})
    return pd.DataFrame(rows, columns=["factor", "estimate", "low", "high", "n"]).dropna(subset=["estimate"])


def _contrasts(page: StudyPage, metric: str) -> None:
    rate = metric.endswith(RATES)
    rows = []
    entries = [entry for entry in page.report["contrasts"] if str(entry.get("metric", "")) == metric]
    for entry in entries[:MOST_CONTRASTS]:
        low, high = estimate_of(entry.get("low"))["estimate"], estimate_of(entry.get("high"))["estimate"]
        difference = estimate_of(entry.get("difference"))["estimate"]
        said = points_interval(low, high) if rate else interval(low, high)
        if entry.get("scale") == "log_ratio":
            difference, low, high = (None if v is None else math.exp(v) for v in (difference, low, high))
            said = interval(low, high)
        rows.append(
            [
                cell_phrase(entry["cell"]),
                cell_phrase(_differing(entry["reference"], entry["cell"])),
                points(difference) if rate else number(difference),
                said.removeprefix("95% CI "),
                probability(estimate_of(entry.get("p"))["estimate"]),
                probability(estimate_of(entry.get("p_holm"))["estimate"]),
                entry.get("n", ""),
            ]
        )
    ratio = any(entry.get("scale") == "log_ratio" for entry in entries)
    unit = "ratio" if ratio else ("difference (points)" if rate else "difference")
    columns = ("cell", "against", unit, "95% CI", "p", "p (Holm)", "seeds")
    markup.table(columns, rows, numeric=columns[2:], key="contrasts", height=560)
    cut = f" The first {MOST_CONTRASTS} of {len(entries):,}." if len(entries) > MOST_CONTRASTS else ""
    seeds = max((int(entry.get("n") or 0) for entry in entries), default=0)
    least = f" With {seeds} seeds no p can be below {probability(2.0 ** (1 - seeds))}." if 2 <= seeds < 10 else ""
    own = "" if any(entry.get("confirmatory") for entry in entries) else " Exploratory: outside that family."
    st.caption(
        f"Paired by seed; p by exact sign flips, and corrected (Holm) over the contrasts of the study's three "
        f"questions.{own}{least}{cut}"
    )


def _differing(reference: dict[str, object], cell: dict[str, object]) -> dict[str, object]:
    """The levels in which the reference differs, all of them where it is the same cell."""
    differing = {path: value for path, value in reference.items() if cell.get(path) != value}
    return differing or reference
