"""The halves of pairs, where activations double the channels or halve them, one by one.

A CReLU unit is gradient-dead only where z is 0 on the whole probe set; half of it is dead as soon as z has one sign.
The rates of units say the first, those of halves the second.
"""

from typing import Protocol

from torch import Tensor

from workers.probes.chunk import LayerChunk


class OfPairs(Protocol):
    """A quantity of pairs that is told of their halves."""

    def by_half(self) -> Tensor:
        """[L, 2 P] float64."""
        ...


class Halves:
    """A quantity's halves, as a quantity of its own; what is gathered is the other's."""

    def __init__(self, pairs: OfPairs) -> None:
        self._pairs = pairs

    def add(self, chunk: LayerChunk) -> None:
        """Nothing: the pairs' quantity has seen it."""

    def by_unit(self) -> Tensor:
        """[L, 2 P]."""
        return self._pairs.by_half()
