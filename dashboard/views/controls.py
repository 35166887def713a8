"""The sidebar of a study: what tells lines apart, what stands side by side, and which levels are shown."""

import streamlit as st

from dashboard.grid import Grid, Look, default_look
from dashboard.session import Document
from dashboard.words import factor_title

NOTHING = "(nothing)"


def look(study: Document, grid: Grid) -> Look:
    """Draws the controls and gives what they say. They keep their values for each study on its own."""
    start = default_look(grid, reference=study["spec"].get("reference"))
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
            told = path in (colour, facet)
            default = list(grid.levels[path]) if told else list(_held(grid, start, path))
            kept = st.pills(
                factor_title(path).capitalize(),
                grid.levels[path],
                selection_mode="multi",
                default=default,
                key=f"{name}-{path}-{told}",
            )
            shown[path] = tuple(kept or default)
        st.caption("A factor with one level shown is held there. Tables of effects and contrasts use all cells.")
    return Look(grid=grid, colour=colour, facet=None if facet == NOTHING else facet, shown=shown)


def _held(grid: Grid, start: Look, path: str) -> tuple[str, ...]:
    """The one level at which a factor is held that nothing tells; the default look has it unless it told it."""
    return start.shown.get(path) or grid.levels[path][:1]
