"""Colours. One palette that the colour-blind can tell apart (Okabe & Ito 2008), on light and on dark grounds.

Black and yellow of the original eight are left out: each vanishes on one of the two grounds.
"""

from collections.abc import Sequence

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Blue, vermillion, bluish green, reddish purple, orange, sky blue."""

NEUTRAL = "#8A8A8A"
"""A grey with contrast above 3:1 on white and on Streamlit's dark ground."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "cross")

STATUS_COLOURS: dict[str, str] = {
    "converged": "#0072B2",
    "learned": "#009E73",
    "stalled": "#E69F00",
    "diverged": "#D55E00",
    "failed": "#7A2E8E",
    "leased": "#56B4E9",
    "queued": "rgba(140,140,140,0.3)",
    "cancelled": "#8A8A8A",
}
"""Colour of a trial's square in the matrix of trials, by its outcome where it succeeded, else by its job's state."""

STATUS_SIGNS: dict[str, str] = {
    "converged": "✓",
    "learned": "",
    "stalled": "s",
    "diverged": "d",
    "failed": "!",
    "leased": "…",
    "queued": "",
    "cancelled": "–",
}
"""What is written in the square, so that it can be read without its colour."""


def colours(levels: Sequence[str]) -> dict[str, str]:
    """A colour for each level, by its place among all levels of the study, so that hiding some changes no colour."""
    return {level: OKABE_ITO[place % len(OKABE_ITO)] for place, level in enumerate(levels)}


def translucent(colour: str, opacity: float) -> str:
    """`rgba(...)` of a `#RRGGBB` colour."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
