"""Small batches: error against the batch size, degradation, and its difference to group normalization."""

from typing import Any

import streamlit as st

from actinium.terminal.compare import error_word
from dashboard import markup
from dashboard.charts import curves
from dashboard.headlines import small_batch
from dashboard.tables import batch_rows, estimate_of
from dashboard.views.page import StudyPage, chart, headline
from dashboard.words import level_word, percent, points, points_interval

ESTIMANDS = {
    "fixed": "The learning rate is the same at every batch size.",
    "linear": "The learning rate grows in proportion to the batch size.",
    "mixed": "Some cells keep the learning rate, some scale it with the batch size.",
    "ghost": "Only the batch of the statistics changes; the optimizer's batch stays.",
    "tuned": "The learning rate is tuned for each batch size.",
}


def draw(page: StudyPage) -> None:
    """Draws the tab."""
    headline(small_batch(page.report), key="small-batches")
    part = page.report.get("small_batch")
    if part is None:
        st.info("Make `training.batch_size` a factor of a study to see this comparison.", icon=":material/info:")
        return
    rows, word = batch_rows(page.report), error_word(page.report)
    error, worse = st.columns(2)
    with error:
        st.subheader(word.capitalize(), anchor=False)
        figure = curves.against_batch_size(rows, page.grid, word=word)
        chart(figure, key="error-by-batch", alt=f"{word.capitalize()} against batch size by normalization")
    with worse:
        st.subheader(f"Change from batch size {part['reference_batch']:g}", anchor=False)
        figure = curves.against_batch_size(rows, page.grid, value="degradation", word=word)
        alt = f"Change of {word} from the reference batch by normalization"
        chart(figure, key="degradation-by-batch", alt=alt)
    st.caption(
        f"All cells, other factors averaged within a seed; bars are 95% confidence intervals over seeds. "
        f"{ESTIMANDS.get(part.get('estimand', ''), '')}"
    )
    _degradation(part, word)
    _differences(part)


def _degradation(part: dict[str, Any], word: str) -> None:
    columns = ("normalization", "batch size", word, "change (points)", "95% CI")
    cells = []
    for curve in part["curves"]:
        for point in curve["points"]:
            own = estimate_of(point.get("degradation"))
            reference = point["batch_size"] == part["reference_batch"]
            cells.append(
                [
                    level_word("normalization", curve["normalization"]),
                    f"{point['batch_size']:g}",
                    percent(estimate_of(point["error"])["estimate"]),
                    "reference" if reference else points(own["estimate"]),
                    "" if reference else points_interval(own["low"], own["high"]).removeprefix("95% CI "),
                ]
            )
    markup.table(columns, cells, numeric=columns[1:], key="degradation")


def _differences(part: dict[str, Any]) -> None:
    st.subheader("What the normalization itself adds", anchor=False)
    entries = part.get("difference_in_differences") or []
    if not entries:
        st.write("A study with group normalization among its levels shows how much of the change is its own.")
        return
    columns = ("normalization", "batch size", "beyond GroupNorm (points)", "95% CI")
    rows = []
    for entry in entries:
        own = estimate_of(entry)
        rows.append(
            [
                level_word("normalization", entry["normalization"]),
                f"{entry['batch_size']:g}",
                points(own["estimate"]),
                points_interval(own["low"], own["high"]).removeprefix("95% CI "),
            ]
        )
    markup.table(columns, rows, numeric=columns[1:], key="differences")
    st.caption(
        "Difference in differences: what a small batch does beyond what it does to GroupNorm, which shares the noise."
    )
