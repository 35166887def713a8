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

    def undecided(self) -> Tensor:
        """[L, C] bool: the units that another example could still show to be alive."""
        assert self._peak is not None
        return self._peak < self._epsilon

    def add_of(self, lanes: Tensor, chunk: LayerChunk) -> None:
        """As `add`, of a part that was passed through these lanes alone: it holds no others."""
        assert self._peak is not None
        self._peak[lanes] = torch.maximum(self._peak[lanes], chunk.peak(chunk.steepness))

    def by_unit(self) -> Tensor:
        """D [L, C], 0 or 1."""
        assert self._peak is not None
        return (self._peak < self._epsilon).double()
