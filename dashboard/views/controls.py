"""The sidebar of a study: which factor is shown by colour, which side by side, and which levels are shown."""

import streamlit as st

from actinium.client.client import JsonObject
from dashboard.grid import Encoding, Grid, default_encoding
from dashboard.words import factor_title

NOTHING = "(nothing)"


def encoding(study: JsonObject, grid: Grid) -> Encoding:
    """Draws the controls and returns what they are set to. Each study keeps its own settings during a session."""
    start = default_encoding(grid, reference=study["spec"].get("reference"))
    if not grid.levels:
        return start
    name = f"study-{study['id']}"
    factors = list(grid.levels)
    with st.sidebar:
        st.subheader("Compare", anchor=False)
        colour = st.selectbox(
            "In colour",
            factors,
            index=factors.index(start.colour) if start.colour in factors else 0,
            format_func=factor_title,
            key=f"{name}-colour",
            help="Lines of one level of this factor share a colour in every chart.",
        )
        others = [path for path in factors if path != colour]
        wanted = start.facet if start.facet in others else (start.colour if start.colour in others else None)
        options = [NOTHING, *others]
        facet = st.selectbox(
            "Side by side",
            options,
            index=options.index(wanted) if wanted else 0,
            format_func=lambda path: path if path == NOTHING else factor_title(path),
            key=f"{name}-facet-{colour}",
            help="One panel for each level of this factor.",
        )
        st.subheader("Show", anchor=False)
        shown: dict[str, tuple[str, ...]] = {}
        for path in factors:
            encoded = path in (colour, facet)
            default = list(grid.levels[path]) if encoded else list(_held(grid, start, path))
            kept = st.pills(
                factor_title(path).capitalize(),
                grid.levels[path],
                selection_mode="multi",
                default=default,
                key=f"{name}-{path}-{encoded}",
            )
            shown[path] = tuple(kept or default)
        st.caption("A factor with one level shown is held there. Tables of effects and contrasts use all cells.")
    return Encoding(grid=grid, colour=colour, facet=None if facet == NOTHING else facet, shown=shown)


def _held(grid: Grid, start: Encoding, path: str) -> tuple[str, ...]:
    """The level at which a factor is held that is neither colour nor facet: the default encoding's, else the first."""
    return start.shown.get(path) or grid.levels[path][:1]
