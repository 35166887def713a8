"""Quantities at their edges: ties, zeros, exact zeros of the gradient, one layer, ranks that are known."""

import math

import pytest
import torch

from workers.probes.activation_moments import ActivationMoments
from workers.probes.chunk import LayerChunk
from workers.probes.dormant import Dormant
from workers.probes.gradient_slope import gradient_slope
from workers.probes.singular_values import SingularValues, effective_rank
from workers.probes.sparsity import OutputSparsity
from workers.probes.spectrum import srank, stable_rank
from workers.probes.weights import opposite_cosine


def chunk_of(h: torch.Tensor, lane_axis: int = 0) -> LayerChunk:
    """A part whose layer is linear: z = h."""
    return LayerChunk(
        preactivation=h,
        activation=h,
        derivative=torch.ones_like,
        lane_axis=lane_axis,
    )


def rank_of(h: torch.Tensor, lane_axis: int = 0) -> list[float]:
    quantity = SingularValues()
    quantity.add(chunk_of(h, lane_axis))
    return effective_rank(quantity.values()).tolist()


def test_the_effective_rank_of_known_spectra() -> None:
    random = torch.Generator().manual_seed(0)
    q, _ = torch.linalg.qr(torch.randn(40, 8, generator=random, dtype=torch.float64))
    spread = torch.tensor([3.0, 1.0, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    one = torch.outer(q[:, 0], torch.arange(1.0, 9.0, dtype=torch.float64))
    ranks = rank_of(torch.stack([q, q * spread, one, torch.zeros_like(q)]))
    wanted = [8.0, math.exp(0.75 * math.log(4 / 3) + 0.25 * math.log(4)), 1.0, 0.0]
    assert ranks == pytest.approx(wanted, rel=1e-5)


def test_a_layer_of_rank_one_has_rank_one_however_wide_it_is() -> None:
    """2,048 units in float32: of a float32 Gram matrix the rounding alone has an srank of 154."""
    random = torch.Generator().manual_seed(2)
    column, row = torch.rand(1, 256, 1, generator=random), torch.rand(1, 1, 2048, generator=random)
    quantity = SingularValues()
    for part in (column * row).split(100, dim=1):
        quantity.add(chunk_of(part))
    assert srank(quantity.values(), 0.99).tolist() == [1.0]
    assert round(effective_rank(quantity.values()).item(), 2) == 1.0


def test_the_effective_rank_of_one_lane_survives_the_others_nans() -> None:
    h = torch.stack([torch.eye(5), torch.full((5, 5), math.nan), torch.full((5, 5), math.inf), torch.eye(5)])
    ranks = rank_of(h)
    assert ranks[0] == ranks[3] == pytest.approx(5.0)
    assert math.isnan(ranks[1]) and math.isnan(ranks[2])


def test_the_effective_rank_takes_positions_for_rows() -> None:
    h = torch.zeros(1, 1, 2, 2, 2)
    h[0, 0, 0, 0, 1] = 1.0
    h[0, 0, 1, 1, 0] = 1.0
    assert rank_of(h, lane_axis=1) == pytest.approx([2.0])


def test_the_ranks_of_known_spectra() -> None:
    singular = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 3.0], [math.nan] * 4])
    assert stable_rank(singular).tolist()[:3] == pytest.approx([0.0, 4.0, 10 / 9])
    assert srank(singular, 0.75).tolist()[:3] == [0.0, 3.0, 1.0]
    assert srank(singular, 0.76).tolist()[:3] == [0.0, 4.0, 2.0]
    assert stable_rank(singular)[3].isnan() and srank(singular, 0.99)[3].isnan()


def test_the_sparsity_of_rectified_gaussians_is_the_closed_form_and_that_of_one_in_n_is_one() -> None:
    """SCIENCE C20: 1 - 1/pi."""
    gaussian = torch.randn(1, 4000, 50, generator=torch.Generator().manual_seed(2)).relu()
    quantity = OutputSparsity()
    for part in gaussian.split(1500, dim=1):
        quantity.add(chunk_of(part))
    found = quantity.by_layer()
    assert found["lifetime_sparsity"].item() == pytest.approx(0.6817, abs=0.005)
    assert found["zero_share"].item() == pytest.approx(0.5, abs=0.005)
    single = OutputSparsity()
    single.add(chunk_of(torch.eye(6)[None]))
    assert all(value.item() == pytest.approx(1.0) for name, value in single.by_layer().items() if name != "zero_share")
    silent = OutputSparsity()
    silent.add(chunk_of(torch.zeros(1, 3, 4)))
    shares = silent.by_layer()
    assert shares.pop("zero_share").item() == 1.0 and all(value.isnan() for value in shares.values())


def test_filters_in_opposite_pairs_are_told_from_orthogonal_ones() -> None:
    eye = torch.eye(3, 5, dtype=torch.float64)
    filters = torch.stack([torch.cat([eye, -2 * eye]), torch.cat([eye, torch.eye(5, dtype=torch.float64)[2:]])])
    assert opposite_cosine(filters).tolist() == pytest.approx([-1.0, 0.0])
    assert opposite_cosine(filters[:, :1]).isnan().all()


def test_a_layer_that_is_all_zero_is_wholly_dormant_and_the_threshold_is_included() -> None:
    h = torch.tensor([[[0.0, 0.0, 0.0, 0.0]], [[0.25, -0.25, 1.5, 2.0]]])
    quantity = Dormant(0.25)
    quantity.add(chunk_of(h))
    assert quantity.by_unit().tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]], "0.25 / mean 1 is at the threshold"


def test_moments_do_not_lose_a_small_spread_about_a_large_mean() -> None:
    random = torch.Generator().manual_seed(1)
    h = 1000 + 1e-3 * torch.randn(1, 512, 4, generator=random)
    quantity = ActivationMoments()
    for part in h.split(100, dim=1):
        quantity.add(chunk_of(part))
    assert quantity.std().item() == pytest.approx(h.double().std(correction=0).item(), rel=1e-6)
    assert quantity.mean().item() == pytest.approx(h.double().mean().item(), rel=1e-12)


def test_the_gradient_slope_is_positive_where_gradients_explode_towards_the_input() -> None:
    layers = torch.arange(1, 6, dtype=torch.float64)
    rms = torch.stack([2.0 ** (5 - layers), 0.5 ** (5 - layers), torch.full((5,), 3.0, dtype=torch.float64)])
    assert gradient_slope(rms).tolist() == pytest.approx([math.log(2), -math.log(2), 0.0])


def test_the_gradient_slope_has_no_floor_for_zeros_and_needs_two_layers() -> None:
    broken = torch.tensor([[0.0, 1.0, 1.0], [1.0, math.nan, 1.0], [1.0, math.inf, 1.0], [0.0, 0.0, 0.0]])
    assert gradient_slope(broken.double()).isnan().all()
    assert gradient_slope(torch.ones(2, 1, dtype=torch.float64)).isnan().all()
