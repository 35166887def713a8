"""Activation rate: the share of (unit, example) pairs with z > 0 (SCIENCE C6, C9).

For a rectifier that is h > 0, the pairs that are on; for a sigmoid those above the middle of its range, so that the
rate means the same for every activation. A convolutional unit counts at each of its positions.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


class ActivationRate:
    """mean_x 1[z_u(x) > 0]."""

    def __init__(self) -> None:
        self._count: Tensor | None = None
        self._samples = 0

    def add(self, chunk: LayerChunk) -> None:
        """Count the active."""
        count = chunk.total(torch.gt(chunk.preactivation, 0, out=chunk.scratch))
        self._count = count if self._count is None else self._count + count
        self._samples += chunk.samples

    def by_unit(self) -> Tensor:
        """The share of each unit's values, [L, C]."""
        assert self._count is not None
        return self._count / self._samples
