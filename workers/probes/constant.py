"""Constant units (SCIENCE D1): the range of h over the probe set is at most a small share of the layer's rms.

The root mean square is of the layer's outputs on the examples that means are taken of. A layer that is all zero is
constant.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk, Place


class Constant:
    """1[max_x h_u - min_x h_u <= tolerance rms]."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._highest: Tensor | None = None
        self._lowest: Tensor | None = None
        self._squares: Tensor | None = None
        self._samples = 0

    def add(self, chunk: LayerChunk) -> None:
        """Keep both ends, and add up squares."""
        highest, lowest = self._ends(chunk)
        squares = chunk.total(torch.square(chunk.activation, out=chunk.scratch_as(chunk.activation)))
        self._highest = highest if self._highest is None else torch.maximum(self._highest, highest)
        self._lowest = lowest if self._lowest is None else torch.minimum(self._lowest, lowest)
        self._squares = squares if self._squares is None else self._squares + squares
        self._samples += chunk.samples

    def _ends(self, chunk: LayerChunk) -> tuple[Tensor, Tensor]:
        return chunk.peak(chunk.activation), -chunk.peak(
            torch.neg(chunk.activation, out=chunk.scratch_as(chunk.activation))
        )

    def undecided(self) -> Tensor:
        """[L, C] bool: the units that another example could still show to vary."""
        assert self._highest is not None and self._lowest is not None and self._squares is not None
        rms = (self._squares.mean(1, keepdim=True) / self._samples).sqrt()
        return self._highest.double() - self._lowest.double() <= self._tolerance * rms

    def add_of(self, place: Place, chunk: LayerChunk) -> None:
        """As `add` of the ends, of a part that holds these lanes, or units, alone."""
        assert self._highest is not None and self._lowest is not None
        highest, lowest = self._ends(chunk)
        self._highest[place] = torch.maximum(self._highest[place], highest)
        self._lowest[place] = torch.minimum(self._lowest[place], lowest)

    def by_unit(self) -> Tensor:
        """[L, C], 0 or 1."""
        return self.undecided().double()
