"""The rules of the weights at step 0 (SCIENCE A3)."""

import math

import pytest
import torch
from torch import Tensor

from actinium.levels import INITIALIZATIONS, Initialization
from workers.initializations.weights import INITIALIZERS, fans_of, initial_weight, uniform_of
from workers.models.start import base_draws


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_level_has_its_rule() -> None:
    assert set(INITIALIZERS) == set(INITIALIZATIONS)


def test_fans_count_the_taps_of_a_kernel() -> None:
    assert (fans_of((64, 128)).fan_in, fans_of((64, 128)).fan_out) == (64, 128)
    assert (fans_of((32, 16, 3, 3)).fan_in, fans_of((32, 16, 3, 3)).fan_out) == (144, 288)


@pytest.mark.parametrize(
    ("document", "variance"),
    [
        ({"name": "normal", "std": 0.3}, 0.09),
        ("xavier", 2 / 500),
        ({"name": "xavier", "distribution": "uniform"}, 2 / 500),
        ("he", 2 / 200),
        ({"name": "he", "mode": "fan_out"}, 2 / 300),
        ({"name": "he", "negative_slope": 0.25}, 2 / (1.0625 * 200)),
        ({"name": "he", "distribution": "uniform"}, 2 / 200),
    ],
)
def test_the_variance_is_the_rules(document: object, variance: float) -> None:
    """60,000 draws: the estimate's relative standard error is sqrt(2 / 60000) = 0.6%."""
    weight = initial_weight(draws(200, 300), Initialization.of(document))
    assert float(weight.var()) == pytest.approx(variance, rel=0.03)
    assert float(weight.mean()) == pytest.approx(0.0, abs=5 * math.sqrt(variance / 60_000))


def test_a_kernels_fan_in_is_its_field_of_view() -> None:
    weight = initial_weight(draws(64, 32, 3, 3), Initialization.of("he"))
    assert float(weight.var()) == pytest.approx(2 / (32 * 9), rel=0.05)


def test_uniform_draws_keep_the_order_of_the_normal_ones_and_are_bounded() -> None:
    normal = draws(10_000)
    uniform = uniform_of(normal)
    assert torch.equal(uniform.argsort(), normal.argsort())
    assert float(uniform.abs().max()) <= math.sqrt(3.0)
    assert float(uniform.var()) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("shape", [(64, 128), (128, 64), (50, 50), (16, 8, 3, 3), (80, 4, 3, 3)])
def test_orthogonal_weights_have_one_singular_value(shape: tuple[int, ...]) -> None:
    weight = initial_weight(draws(*shape), Initialization.of({"name": "orthogonal", "gain": 1.5}))
    matrix = weight if weight.dim() == 2 else weight.flatten(1)
    assert weight.shape == shape
    values = torch.linalg.svdvals(matrix.double())
    torch.testing.assert_close(values, torch.full_like(values, 1.5), rtol=1e-5, atol=1e-5)


def test_orthogonal_signs_follow_the_draws() -> None:
    """With R's diagonal made positive, Q has no preferred sign: its first column is the draws' first, normalized."""
    for seed in range(8):
        base = draws(6, 4, seed=seed)
        weight = initial_weight(base, Initialization.of("orthogonal"))
        torch.testing.assert_close(weight[:, 0], base[:, 0] / base[:, 0].norm())


def test_layers_and_seeds_draw_their_own_numbers() -> None:
    first = base_draws(0, 1, (8, 8))
    assert torch.equal(first, base_draws(0, 1, (8, 8)))
    assert not torch.equal(first, base_draws(0, 2, (8, 8)))
    assert not torch.equal(first, base_draws(1, 1, (8, 8)))


def test_zero_is_zero() -> None:
    assert not initial_weight(draws(5, 5), Initialization.of("zero")).any()
