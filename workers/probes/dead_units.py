"""Gradient-dead units (SCIENCE D1): max over the probe set of |phi'(z)| is below epsilon.

Valid for every activation: a unit whose derivative vanishes on all examples passes no gradient, whatever it gives out.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


class DeadUnits:
    """D_u = 1[max_x |phi'(z_u(x))| < epsilon]."""

    def __init__(self, epsilon: float) -> None:
        self._epsilon = epsilon
        self._peak: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Keep the largest |phi'|."""
        peak = chunk.peak(chunk.steepness)
        self._peak = peak if self._peak is None else torch.maximum(self._peak, peak)

    def by_unit(self) -> Tensor:
        """D [L, C], 0 or 1."""
        assert self._peak is not None
        return (self._peak < self._epsilon).double()
