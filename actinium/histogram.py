"""Fixed bins for histograms of what layers give and receive: equal in all layers, trials and studies.

32 bins, symmetric about zero and evenly spaced in asinh(x / 0.05): nearly linear below 0.05, logarithmic above, out to
-20 and 20; one more bin on either side takes what lies beyond. A bin holds its lower edge: the zeros of a rectifier
are in the first bin above zero.
"""

import math
from itertools import pairwise

LINEAR = 0.05
"""Below this size bins are nearly equally wide."""
LARGEST = 20.0
BINS_A_SIDE = 16
EDGES = tuple(
    LINEAR * math.sinh(place / BINS_A_SIDE * math.asinh(LARGEST / LINEAR))
    for place in range(-BINS_A_SIDE, BINS_A_SIDE + 1)
)
"""The 33 edges, ascending."""
BINS = tuple(pairwise((-math.inf, *EDGES, math.inf)))
"""Lower and upper edge of each of the 34 bins, the first and last without end."""


def histogram_series(of: str) -> tuple[str, ...]:
    """`activation_histogram_00`, ...: the share of values in each bin; `of` is activation or preactivation."""
    return tuple(f"{of}_histogram_{number:02d}" for number in range(len(BINS)))
