"""The catalogue of activations: what each computes, drawn from what the API gives."""

from typing import Any

import streamlit as st

from dashboard import markup, session
from dashboard.charts.activations import MOST, functions
from dashboard.views.page import CHART

COLUMNS = ("activation", "function", "derivative", "gain", "parameters and their defaults", "source")
FIRST_SHOWN = ("relu", "leaky_relu", "elu", "gelu", "tanh")


def show() -> None:
    """Draws the page."""
    st.title("Activations", anchor=False)
    st.html(markup.link("All studies", "?").text)
    levels: list[dict[str, Any]] = session.catalogue()["activations"]
    by_name = {level["name"]: level for level in levels}
    chosen = st.multiselect(
        "Draw",
        list(by_name),
        default=[name for name in FIRST_SHOWN if name in by_name],
        max_selections=MOST,
        key="drawn-activations",
    )
    st.plotly_chart(functions([by_name[name] for name in chosen]), config=CHART, key="activation-curves")
    markup.paragraph(
        "At their defaults; what a level learns, at its start or the middle of its range. The gain is the square "
        "root of fan-in x variance of the weights that keeps a second moment of 1. Where one channel becomes two, the "
        "thinner line is the second half of the outputs.",
        quiet=True,
    )
    markup.table(COLUMNS, [_row(level) for level in levels], numeric=("gain",), key="activations")


def _row(level: dict[str, Any]) -> list[object]:
    gain = level["gain"]
    defaults = ", ".join(f"{name} = {_default(given['default'])}" for name, given in level["parameters"].items())
    return [
        level["name"],
        level["equation"],
        level["derivative"],
        "" if gain is None else f"{gain:.4g}",
        defaults,
        level["citation"],
    ]


def _default(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "null" if value is None else str(value)
