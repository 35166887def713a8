"""tau-dormant units (Sokar et al. 2023; SCIENCE D1): s_u = E|h_u| / mean_k E|h_k| <= tau.

Relative to the layer's scale, hence no substitute for gradient-dead. A layer that is all zero has s = 0 throughout.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


def dormant_series(tau: float) -> str:
    """`dormant_rate_0.025`: the threshold is part of the name."""
    return f"dormant_rate_{tau:g}"


class Dormant:
    """1[s_u <= tau], tau included; the mean over k is over the units of the layer."""

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._size: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Add up |h|."""
        size = chunk.total(torch.abs(chunk.activation, out=chunk.scratch_as(chunk.activation)))
        self._size = size if self._size is None else self._size + size

    def by_unit(self) -> Tensor:
        """1 where dormant, else 0: [L, C]."""
        assert self._size is not None
        return (self._size <= self._tau * self._size.mean(1, keepdim=True)).double()
