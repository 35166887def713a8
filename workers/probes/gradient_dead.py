"""Gradient-dead units (SCIENCE D1): max over the probe set of |phi'(z)| is below epsilon.

Valid for every activation: a unit whose derivative vanishes on all examples passes no gradient, whatever it gives out.
Of a pair, each half has a derivative; the pair is dead where both halves are.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk, Place, larger_half


class GradientDead:
    """D_u = 1[max_x |phi'(z_u(x))| < epsilon]."""

    def __init__(self, epsilon: float, *, paired: bool) -> None:
        self._epsilon, self._paired = epsilon, paired
        self._peak: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Keep the largest |phi'|."""
        peak = chunk.peak(chunk.steepness)
        self._peak = peak if self._peak is None else torch.maximum(self._peak, peak)

    def undecided(self) -> Tensor:
        """[L, C] bool: the units, or halves, that another example could still show to be alive."""
        assert self._peak is not None
        return self._peak < self._epsilon

    def add_of(self, place: Place, chunk: LayerChunk) -> None:
        """As `add`, of a part that holds these lanes, or units, alone."""
        assert self._peak is not None
        self._peak[place] = torch.maximum(self._peak[place], chunk.peak(chunk.steepness))

    def by_half(self) -> Tensor:
        """D of each derivative, 0 or 1: [L, C], or [L, 2 P] of pairs."""
        return self.undecided().double()

    def by_unit(self) -> Tensor:
        """D [L, C], or [L, P] of pairs, 0 or 1."""
        assert self._peak is not None
        peak = larger_half(self._peak, axis=1) if self._paired else self._peak
        return (peak < self._epsilon).double()
