"""The tab of small batches: error and degradation by batch size, and the difference to group normalization."""

import streamlit as st

from actinium.report import SmallBatch
from dashboard import markup
from dashboard.charts import curves
from dashboard.headlines import small_batch
from dashboard.tables import batch_rows
from dashboard.views.page import StudyView, chart, headline
from dashboard.words import cell_phrase, level_word, percent, points, points_interval

ESTIMANDS = {
    "fixed": "The learning rate is the same at every batch size.",
    "linear": "The learning rate grows in proportion to the batch size.",
    "mixed": "Some cells keep the learning rate, some scale it with the batch size.",
}


def draw(view: StudyView) -> None:
    """Draws the tab."""
    headline(small_batch(view.report), key="small-batches")
    small = view.report.small_batch
    if small is None:
        st.info("Make `training.batch_size` a factor of a study to see this comparison.", icon=":material/info:")
        return
    rows, word = batch_rows(small), view.report.words.error
    error, worse = st.columns(2)
    with error:
        st.subheader(word.capitalize(), anchor=False)
        figure = curves.against_batch_size(rows, view.grid, word=word)
        chart(figure, key="error-by-batch", alt=f"{word.capitalize()} against batch size by normalization")
    with worse:
        st.subheader(f"Change from batch size {small.reference_batch}", anchor=False)
        figure = curves.against_batch_size(rows, view.grid, value="degradation", word=word)
        alt = f"Change of {word} from the reference batch by normalization"
        chart(figure, key="degradation-by-batch", alt=alt)
    st.caption(
        f"Networks that learned, other factors averaged within a seed; bars are 95% confidence intervals over seeds. "
        f"{_left_out(small)}{ESTIMANDS.get(small.estimand, '')}"
    )
    _degradation(small, word)
    _differences(small)


def _left_out(small: SmallBatch) -> str:
    """The cells that no average is made of."""
    phrases = "; ".join(cell_phrase(cell) for cell in small.left_out)
    return f"Not averaged, because they did not learn: {phrases}. " if phrases else ""


def _degradation(small: SmallBatch, word: str) -> None:
    columns = ("activation", "normalization", "batch size", word, "change (points)", "95% CI", "seeds", "collapsed")
    cells = []
    for curve in small.by_activation or small.curves:
        for point in curve.points:
            own = point.degradation
            reference = point.batch_size == small.reference_batch
            cells.append(
                [
                    level_word("activation", curve.activation) if curve.activation is not None else "all",
                    level_word("normalization", curve.normalization),
                    str(point.batch_size),
                    percent(point.error.estimate),
                    "reference" if reference else points(own.estimate),
                    "" if reference else points_interval(own.low, own.high).removeprefix("95% CI "),
                    str(own.n),
                    str(point.collapsed),
                ]
            )
    markup.table(columns, cells, numeric=columns[2:], key="degradation")


def _differences(small: SmallBatch) -> None:
    st.subheader("What the normalization itself adds", anchor=False)
    if not small.difference_in_differences:
        st.write("A study with group normalization among its levels shows how much of the change is its own.")
        return
    columns = ("activation", "normalization", "batch size", "beyond GroupNorm (points)", "95% CI", "seeds")
    rows = [
        [
            level_word("activation", entry.activation),
            level_word("normalization", entry.normalization),
            str(entry.batch_size),
            points(entry.estimate),
            points_interval(entry.low, entry.high).removeprefix("95% CI "),
            str(entry.n),
        ]
        for entry in small.difference_in_differences
    ]
    markup.table(columns, rows, numeric=columns[2:], key="differences")
    st.caption(
        "Difference in differences: what a small batch does beyond what it does to GroupNorm, which shares the noise, "
        "activation by activation; seeds at which a network did not learn are left out."
    )
