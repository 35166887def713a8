"""Pinned units (SCIENCE D1): on all of the probe set in one piece of the activation, hence linear where that has two.

Below zero everywhere (max z < 0) or above it (min z > 0). Told by z alone, whatever the activation; it means most for
rectifiers, leaky ones included, of which a unit can be pinned without being dead.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk, Place


class Pinned:
    """1[max_x sign z_u(x) < 0]: sign 1 for pinned below zero, -1 for above."""

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._peak: Tensor | None = None

    def _seen(self, chunk: LayerChunk) -> Tensor:
        return chunk.peak(torch.mul(chunk.preactivation, self._sign, out=chunk.scratch))

    def add(self, chunk: LayerChunk) -> None:
        """Keep the value nearest the other piece."""
        peak = self._seen(chunk)
        self._peak = peak if self._peak is None else torch.maximum(self._peak, peak)

    def undecided(self) -> Tensor:
        """[L, C] bool: the units that another example could still show in the other piece."""
        assert self._peak is not None
        return self._peak < 0

    def add_of(self, place: Place, chunk: LayerChunk) -> None:
        """As `add`, of a part that holds these lanes, or units, alone."""
        assert self._peak is not None
        self._peak[place] = torch.maximum(self._peak[place], self._seen(chunk))

    def by_unit(self) -> Tensor:
        """[L, C], 0 or 1."""
        return self.undecided().double()
