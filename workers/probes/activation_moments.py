"""Mean and standard deviation of a layer's outputs h over its units, examples and positions (SCIENCE D5).

Sums are of h - r, where r_u is the unit's mean over the first part of the probe set: outputs that hardly vary about a
large mean (a deep stack of sigmoids) keep their digits in float32.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


class ActivationMoments:
    """The mean, and the biased standard deviation: sqrt(mean_u Var_x h_u + Var_u E_x h_u)."""

    def __init__(self) -> None:
        self._reference: Tensor | None = None
        self._samples = 0
        self._sum: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Add up h - r and its square."""
        if self._reference is None:
            self._reference = (chunk.total(chunk.activation) / chunk.samples).to(chunk.activation.dtype)
        shifted = torch.sub(chunk.activation, chunk.of_units(self._reference), out=chunk.scratch_as(chunk.activation))
        added = chunk.total(shifted)
        squares = chunk.total(torch.square(shifted, out=chunk.scratch_as(chunk.activation)))
        self._sum = added if self._sum is None else self._sum + added
        self._squares = squares if self._squares is None else self._squares + squares
        self._samples += chunk.samples

    def _unit_means(self) -> Tensor:
        """E_x h_u, [L, C] float64."""
        assert self._reference is not None and self._sum is not None
        return self._reference.double() + self._sum / self._samples

    def mean(self) -> Tensor:
        """[L]."""
        return self._unit_means().mean(1)

    def std(self) -> Tensor:
        """[L]."""
        assert self._sum is not None and self._squares is not None
        within = self._squares / self._samples - (self._sum / self._samples).square()
        return (within.clamp(min=0).mean(1) + self._unit_means().var(1, correction=0)).sqrt()

    def by_layer(self) -> Mapping[str, Tensor]:
        """Both by name."""
        return {"activation_mean": self.mean(), "activation_std": self.std()}
