"""Singular values of a layer's outputs, and the effective rank (Roy & Vetterli 2007; SCIENCE D5): exp(-sum p ln p),
p = s / sum s.

s are the singular values of H, uncentred: a column is a unit, a row an example, or an example at a position for
convolutional layers. They are the roots of the eigenvalues of H^T H, which is gathered part by part, in float64, and
never needs H as a whole: those above 1e-8 of the largest are found.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


class SingularValues:
    """What several ranks are made of; computed once, when all parts have gone by."""

    def __init__(self) -> None:
        self._gram: Tensor | None = None
        self._known: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Add up H^T H."""
        products = chunk.products(chunk.activation)
        self._gram = products if self._gram is None else self._gram.add_(products)

    def gram(self) -> Tensor:
        """H^T H, [L, C, C] float64."""
        assert self._gram is not None
        return self._gram

    def values(self) -> Tensor:
        """Of H, [L, C] float64 in ascending order; NaN where an output is not finite."""
        if self._known is None:
            self._known = self._computed()
        return self._known

    def _computed(self) -> Tensor:
        gram = self.gram()
        finite = torch.isfinite(gram).all(2).all(1)
        spectrum = torch.linalg.eigvalsh(torch.where(finite[:, None, None], gram, 0.0)).clamp(min=0).sqrt()
        return torch.where(finite[:, None], spectrum, torch.nan)


class OfSingularValues:
    """What a family makes of a layer's singular values, which are gathered once for all of them."""

    def __init__(self, singular: SingularValues, values: Callable[[Tensor], Mapping[str, Tensor]]) -> None:
        """`values`: [L] by the quantity's name, from singular values [L, C] in ascending order."""
        self._singular, self._values = singular, values

    def add(self, chunk: LayerChunk) -> None:
        """Nothing: the singular values have seen it."""

    def by_layer(self) -> Mapping[str, Tensor]:
        """[L] by the quantity's name."""
        return self._values(self._singular.values())


def effective_rank(singular: Tensor) -> Tensor:
    """[L] from singular values [L, C], between 1 and min(examples, units); 0 for a layer that is all zero; NaN where
    they are.
    """
    total = singular.sum(1, keepdim=True)
    shares = singular / torch.where(total == 0, 1.0, total)
    return torch.where(total[:, 0] == 0, 0.0, torch.special.entr(shares).sum(1).exp())
