"""Ranks of a layer's outputs H by their singular values s (SCIENCE D5), uncentred; 0 for a layer that is all zero.

stable rank (Rudelson & Vershynin 2007):  |H|_F^2 / |H|_2^2 = sum s^2 / max s^2
srank (Kumar et al. 2021):                the least k for which the k largest s hold a share of sum s
"""

import torch
from torch import Tensor

from workers.probes.family import Family
from workers.probes.gathering import Gathered, LayerLook
from workers.probes.schedule import points_of
from workers.probes.singular_values import OfSingularValues, SingularValues


def gather(look: LayerLook) -> Gathered:
    """Both ranks of a layer."""
    wanted = look.config.probes.spectrum
    assert wanted is not None
    share = wanted.share
    singular = look.common(SingularValues)
    ranks = OfSingularValues(
        singular, lambda values: {"stable_rank": stable_rank(values), "srank": srank(values, share)}
    )
    return Gathered(layers=(ranks,))


SPECTRUM = Family(name="spectrum", steps=points_of("spectrum"), gather=gather)


def stable_rank(singular: Tensor) -> Tensor:
    """[L] from singular values [L, C] in ascending order; NaN where they are."""
    squares = singular.square()
    largest = squares[:, -1]
    return torch.where(largest == 0, 0.0, squares.sum(1) / largest)


def srank(singular: Tensor, share: float) -> Tensor:
    """[L] from singular values [L, C] in ascending order; NaN where they are."""
    held = singular.flip(1).cumsum(1)
    total = held[:, -1:]
    fewer = (held < share * total).sum(1).double() + 1.0
    rank = torch.where(total[:, 0] == 0, 0.0, fewer)
    return torch.where(torch.isnan(total[:, 0]), torch.nan, rank)
