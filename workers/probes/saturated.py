"""Saturation (SCIENCE D1): the share of (unit, example) pairs with |phi'(z)| < epsilon max |phi'|.

The maximum is the activation's own steepest slope, not the largest one seen. A convolutional unit counts at each of its
positions. For a rectifier this is the share of the inactive. Where the derivative has no bound it does not apply. A
pair is saturated where both of its halves are.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


class Saturated:
    """mean_x 1[|phi'(z_u(x))| < epsilon * steepest_u]."""

    def __init__(self, epsilon: float, steepest: Tensor) -> None:
        """`steepest` [L, C]: max |phi'| of each unit's activation, NaN where it has no bound."""
        self._threshold = epsilon * steepest
        self._count = torch.zeros_like(steepest, dtype=torch.float64)
        self._samples = 0

    def add(self, chunk: LayerChunk) -> None:
        """Count the saturated."""
        strongest = chunk.strongest
        below = torch.lt(strongest, chunk.of_units(self._threshold), out=chunk.scratch_as(strongest))
        self._count += chunk.total(below)
        self._samples += chunk.samples

    def by_unit(self) -> Tensor:
        """The share of each unit's values, [L, C]; NaN where it does not apply."""
        return torch.where(self._threshold.isnan(), torch.nan, self._count / self._samples)
