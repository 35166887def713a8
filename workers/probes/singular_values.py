"""Singular values of a layer's outputs, and the effective rank (Roy & Vetterli 2007; SCIENCE D5): exp(-sum p ln p),
p = s / sum s.

s are the singular values of H, uncentred: a column is a unit, a row an example, or an example at a position for
convolutional layers. They are the roots of the eigenvalues of H^T H, which is gathered part by part and never needs H
as a whole. To spare the small ones, the products are of H - 1 r^T (r: the units' means over the first part), added in
float64, and H^T H is put together from them:

    H^T H = D^T D + S r^T + r S^T + n r r^T,    D = H - 1 r^T,    S = D^T 1.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk


class SingularValues:
    """What several ranks are made of; computed once, when all parts have gone by."""

    def __init__(self) -> None:
        self._reference: Tensor | None = None
        self._products: Tensor | None = None
        self._sum: Tensor | None = None
        self._samples = 0
        self._known: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        """Add up D^T D and D^T 1."""
        if self._reference is None:
            self._reference = (chunk.total(chunk.activation) / chunk.samples).to(chunk.activation.dtype)
        shifted = torch.sub(chunk.activation, chunk.of_units(self._reference), out=chunk.scratch_as(chunk.activation))
        products, added = chunk.products(shifted)
        self._products = products if self._products is None else self._products + products
        self._sum = added if self._sum is None else self._sum + added
        self._samples += chunk.samples

    def gram(self) -> Tensor:
        """H^T H, [L, C, C] float64."""
        assert self._reference is not None and self._products is not None and self._sum is not None
        r = self._reference.double()
        crossed = self._sum.unsqueeze(2) * r.unsqueeze(1)
        return self._products + crossed + crossed.mT + self._samples * r.unsqueeze(2) * r.unsqueeze(1)

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
