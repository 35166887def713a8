"""Probes of untrained networks against closed forms (SCIENCE C4, C6, C7, C9). Inputs are drawn, weights are the
product's; every bar is the one that SCIENCE states, or four standard errors.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.models import build_model
from workers.models.mlp import LaneMlp
from workers.probes import PackProbes, probe_series
from workers.training.batches import PackData

PIXELS = 28 * 28


def networks_of(seeds: int, *, inputs: int, **document: Any) -> LaneMlp:
    """Untrained networks on inputs of 784 numbers, so many of them: all of them are one batch of the training."""
    usual = {"task": {"dataset": "mnist", "train_examples": inputs}, "training": {"batch_size": inputs, "epochs": 10}}
    model = build_model([TrialConfig.model_validate({**usual, **document, "seed": seed}) for seed in range(seeds)])
    assert isinstance(model, LaneMlp)
    return model


def data_of(inputs: Tensor, lanes: int) -> PackData:
    """The same inputs [K, 784] for every lane, as they are."""
    examples = torch.arange(inputs.shape[0]).expand(lanes, -1)
    return PackData(
        inputs=inputs.float().view(-1, 1, 28, 28),
        labels=torch.arange(inputs.shape[0]) % 10,
        shift=torch.zeros(lanes, 1, 1, 1),
        scale=torch.ones(lanes, 1, 1, 1),
        train=examples,
        validation=examples,
        test=examples,
        lane_axis=0,
    )


def measured(model: LaneMlp, inputs: Tensor) -> dict[str, np.ndarray]:
    """Step 0, every series [L]."""
    probes = PackProbes(configs=model.configs, model=model, data=data_of(inputs, len(model.configs)))
    return dict(zip(probe_series(model.configs[0]), probes.measure(0).T, strict=True))


def normal_inputs(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, PIXELS, generator=torch.Generator().manual_seed(seed))


def correlation_after(rho: float) -> float:
    """The ReLU kernel: pre-activation correlation one He-ReLU layer further (C6)."""
    return (math.sqrt(1 - rho * rho) + rho * (math.pi - math.acos(rho))) / math.pi


def never_on(rho: float, count: int) -> float:
    """P(a unit is off on all `count` equicorrelated Gaussian pre-activations) (C6)."""
    if rho == 0:
        return 0.5**count
    ratio = math.sqrt(rho / (1 - rho))
    value, _ = integrate.quad(lambda t: stats.norm.pdf(t) * stats.norm.cdf(-t * ratio) ** count, -10, 10, limit=500)
    return float(value)


def test_the_closed_form_is_the_one_that_is_tabulated() -> None:
    rho, seen = 0.0, {}
    for layer in range(1, 51):
        seen[layer] = (rho, never_on(rho, 256))
        rho = correlation_after(rho)
    table = {1: 0.0, 2: 0.31831, 3: 0.49373, 5: 0.68095, 10: 0.85481, 20: 0.94449, 50: 0.98744}
    for layer, correlation in table.items():
        assert seen[layer][0] == pytest.approx(correlation, abs=1e-5)
    for layer, rate in {2: 1e-4, 5: 0.0305, 10: 0.125}.items():
        assert seen[layer][1] == pytest.approx(rate, rel=0.05)
    assert never_on(0.5, 256) == pytest.approx(1 / 257, rel=1e-6)


def test_units_of_deep_he_relu_networks_are_born_dead_at_the_predicted_rate() -> None:
    """C6: 256 orthogonal inputs, width 500, 20 seeds; tolerance 0.015, and a mean activation rate of 1/2."""
    orthogonal, _ = torch.linalg.qr(normal_inputs(256).double().T)
    model = networks_of(
        20,
        inputs=256,
        model={"kind": "mlp", "depth": 10, "width": 500},
        probes={"gradient_flow": None, "activation_statistics": {"rank_points": 2}, "averaged_points": 10_000},
    )
    probes = PackProbes(
        configs=model.configs, model=model, data=data_of(orthogonal.T * math.sqrt(PIXELS), len(model.configs))
    )
    without_rank = model.configs[0].probe_steps()[1]  # ten layers of width 500: not what this test is about
    seen = dict(zip(probe_series(model.configs[0]), probes.measure(without_rank).T, strict=True))
    fates = probes.of_whole_trials()
    rho, rates = 0.0, []
    for layer in range(1, 11):
        rates.append(never_on(rho, 256))
        name = layer_series("dead_unit_rate", layer)
        assert seen[name].mean() == pytest.approx(rates[-1], abs=0.015), name
        np.testing.assert_array_equal(seen[name], seen[layer_series("off_rate", layer)])
        born_dead = [fate[layer_series("born_dead_rate", layer)] for fate in fates]
        np.testing.assert_allclose(born_dead, seen[name], rtol=1e-6)
        assert seen[layer_series("activation_rate", layer)].mean() == pytest.approx(0.5, abs=0.02)
        rho = correlation_after(rho)
    assert seen["dead_unit_rate"].mean() == pytest.approx(np.mean(rates), abs=0.015)
    assert 1 - seen[layer_series("saturated_rate", 4)].mean() == pytest.approx(0.5, abs=0.02)


def test_narrow_networks_die_as_a_whole_at_the_predicted_rate() -> None:
    """C7: one input, hidden width N: P(some layer is all zero) = 1 - (1 - 2^-N)^D."""
    width, depth, seeds = 3, 4, 1500
    model = networks_of(
        seeds,
        inputs=1,
        model={"kind": "mlp", "depth": depth, "width": width},
        probes={"gradient_flow": None, "activation_statistics": None},
    )
    seen = measured(model, normal_inputs(1))
    dead = seen[layer_series("dead_unit_rate", depth)] == 1.0
    some = np.any([seen[layer_series("dead_unit_rate", layer)] == 1.0 for layer in range(1, depth + 1)], axis=0)
    np.testing.assert_array_equal(dead, some)  # with zero biases, nothing wakes behind a silent layer
    wanted = 1 - (1 - 2.0**-width) ** depth
    assert some.mean() == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / seeds))


def test_networks_of_one_number_are_born_dead_within_the_bounds() -> None:
    """C7: inputs on the two rays of a line, zero biases, D = L - 1 hidden layers of N units:
    2^(1-N) v + (1 - 2^(1-N)) v^2 <= P(born dead) <= v, v = 1 - (1 - 2^-N)^(D-1).
    """
    width, depth, seeds = 3, 5, 1500
    model = networks_of(
        seeds,
        inputs=6,
        model={"kind": "mlp", "depth": depth, "width": width},
        probes={"gradient_flow": None, "activation_statistics": None},
    )
    line = torch.zeros(6, PIXELS)
    line[:, 300] = torch.tensor([-2.0, -1.0, -0.1, 0.1, 1.0, 3.0])
    born_dead = (measured(model, line)[layer_series("dead_unit_rate", depth)] == 1.0).mean()
    v = 1 - (1 - 2.0**-width) ** (depth - 1)
    low = 2.0 ** (1 - width) * v + (1 - 2.0 ** (1 - width)) * v * v
    assert low - 4 * math.sqrt(low * (1 - low) / seeds) <= born_dead <= v + 4 * math.sqrt(v * (1 - v) / seeds)


@pytest.mark.parametrize(("gamma", "beta"), [(1.0, 0.0), (1.0, 1.0), (0.5, -1.0), (2.0, -0.7)])
def test_behind_batch_normalization_relu_is_on_at_the_gaussian_rate(gamma: float, beta: float) -> None:
    """C9: on-rate Phi(beta/gamma), mean gamma pdf(beta/gamma) + beta Phi(beta/gamma); all inputs are one batch."""
    model = networks_of(
        4,
        inputs=1500,
        model={"kind": "mlp", "depth": 1, "width": 200},
        normalization="batch",
        probes={"gradient_flow": None, "activation_statistics": {"rank_points": 2}},
    )
    inputs = normal_inputs(1500)
    with torch.no_grad():
        model.params["layer_01.gamma"].fill_(gamma)
        model.params["layer_01.beta"].fill_(beta)
    seen = measured(model, inputs)
    rate = stats.norm.cdf(beta / gamma)
    mean = gamma * stats.norm.pdf(beta / gamma) + beta * rate
    assert seen["activation_rate"].mean() == pytest.approx(rate, abs=0.005)
    assert seen[layer_series("activation_mean", 1)].mean() == pytest.approx(mean, abs=0.01)


@pytest.mark.parametrize(
    ("activation", "initialization", "factor"),
    [
        ("tanh", {"name": "normal", "std": 0.01}, 0.2236),
        ("tanh", {"name": "normal", "std": 1.0}, 3.480),
        ("sigmoid", "xavier", 0.2361),
        ("relu", "xavier", math.sqrt(0.5)),
        ("relu", "he", 1.0),
    ],
)
def test_the_gradient_slope_is_half_the_logarithm_of_chi(activation: str, initialization: Any, factor: float) -> None:
    """C4: the backward factor of a layer of width 500 is sqrt(chi), within 10%: v = ln(factor)."""
    model = networks_of(
        4,
        inputs=256,
        model={"kind": "mlp", "depth": 10, "width": 500},
        activation=activation,
        initialization=initialization,
        probes={"dead_units": None, "activation_statistics": None},
    )
    seen = measured(model, normal_inputs(256))
    assert seen["gradient_slope"].mean() == pytest.approx(math.log(factor), abs=math.log(1.1))
    first, last = (seen[layer_series("gradient_rms", layer)] for layer in (1, 10))
    assert np.log(first / last).mean() / 9 == pytest.approx(math.log(factor), abs=math.log(1.15))


def test_gradients_too_small_for_their_squares_are_still_measured() -> None:
    """Forty sigmoid layers: 0.2361^39 is 3e-25, whose square float32 cannot hold."""
    model = networks_of(
        2,
        inputs=64,
        model={"kind": "mlp", "depth": 40, "width": 100},
        activation="sigmoid",
        initialization="xavier",
        probes={"dead_units": None, "activation_statistics": None},
    )
    seen = measured(model, normal_inputs(64))
    assert (seen[layer_series("gradient_rms", 1)] < 1e-22).all()
    assert seen["gradient_slope"].mean() == pytest.approx(math.log(0.2361), abs=math.log(1.1))
