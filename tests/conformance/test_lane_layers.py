"""Each normalization and activation of a slice of lanes against torch.nn, lane by lane, forward and backward.

In float64, so that only a wrong formula can exceed the tolerance. Legend: l lanes, B examples, C channels.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from actinium.levels import ACTIVATIONS, Activation, Normalization
from workers.activations import ACTIVATION_FUNCTIONS
from workers.normalizations import Affine, RunningStatistics, normalize_channels, normalize_units

LANES, EXAMPLES, CHANNELS, SIDE = 3, 6, 8, 5
TIGHT = {"rtol": 1e-11, "atol": 1e-12}

NORMALIZATIONS: dict[str, tuple[object, Callable[[bool], nn.Module]]] = {
    "batch": ("batch", lambda conv: (nn.BatchNorm2d if conv else nn.BatchNorm1d)(CHANNELS)),
    "batch-slow": (
        {"name": "batch", "momentum": 0.03, "eps": 1e-3},
        lambda conv: (nn.BatchNorm2d if conv else nn.BatchNorm1d)(CHANNELS, momentum=0.03, eps=1e-3),
    ),
    "layer": ("layer", lambda conv: nn.GroupNorm(1, CHANNELS)),
    "layer-eps": ({"name": "layer", "eps": 0.1}, lambda conv: nn.GroupNorm(1, CHANNELS, eps=0.1)),
    "group-2": ({"name": "group", "groups": 2}, lambda conv: nn.GroupNorm(2, CHANNELS)),
    "group-default": ("group", lambda conv: nn.GroupNorm(2, CHANNELS)),
    "instance": ("instance", lambda conv: nn.InstanceNorm2d(CHANNELS, affine=True)),
}

ORACLES: dict[str, tuple[object, Callable[[], nn.Module]]] = {
    "linear": ("linear", nn.Identity),
    "sigmoid": ("sigmoid", nn.Sigmoid),
    "tanh": ("tanh", nn.Tanh),
    "relu": ("relu", nn.ReLU),
    "leaky_relu": ({"name": "leaky_relu", "negative_slope": 0.2}, lambda: nn.LeakyReLU(0.2)),
    "prelu": ("prelu", lambda: nn.PReLU(CHANNELS, dtype=torch.float64)),
    "elu": ({"name": "elu", "alpha": 0.7}, lambda: nn.ELU(0.7)),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("name", "conv"),
    [
        pytest.param(name, conv, id=f"{name}-{'channels' if conv else 'units'}")
        for name in NORMALIZATIONS
        for conv in (False, True)
        if conv or name != "instance"
    ],
)
def test_normalization_is_torchs_lane_by_lane(name: str, training: bool, conv: bool) -> None:
    document, build = NORMALIZATIONS[name]
    level = Normalization.of(document)
    shape = (EXAMPLES, LANES, CHANNELS, SIDE, SIDE) if conv else (LANES, EXAMPLES, CHANNELS)
    lane_axis = 1 if conv else 0
    x = (3.0 * normal(*shape) + 1.5).requires_grad_()
    gamma, beta = normal(LANES, CHANNELS, seed=1).requires_grad_(), normal(LANES, CHANNELS, seed=2).requires_grad_()
    running = RunningStatistics(
        mean=normal(LANES, CHANNELS, seed=3), var=1.0 + normal(LANES, CHANNELS, seed=4).square()
    )
    modules = []
    for lane in range(LANES):
        module = build(conv).double().train(training)
        with torch.no_grad():
            module.weight.copy_(gamma[lane])
            module.bias.copy_(beta[lane])
            if level.name == "batch":
                module.running_mean.copy_(running.mean[lane])
                module.running_var.copy_(running.var[lane])
        modules.append(module)

    normalize = normalize_channels if conv else normalize_units
    y = normalize(x, level, Affine(gamma=gamma, beta=beta), running, training=training, update=True)
    cotangent = normal(*shape, seed=5)
    y.backward(cotangent)

    assert x.grad is not None and gamma.grad is not None and beta.grad is not None
    for lane, module in enumerate(modules):
        alone = x.detach().select(lane_axis, lane).clone().requires_grad_()
        expected = module(alone)
        expected.backward(cotangent.select(lane_axis, lane))
        torch.testing.assert_close(y.detach().select(lane_axis, lane), expected.detach(), **TIGHT)
        torch.testing.assert_close(x.grad.select(lane_axis, lane), alone.grad, **TIGHT)
        torch.testing.assert_close(gamma.grad[lane], module.weight.grad, **TIGHT)
        torch.testing.assert_close(beta.grad[lane], module.bias.grad, **TIGHT)
        if level.name == "batch":
            torch.testing.assert_close(running.mean[lane], module.running_mean, **TIGHT)
            torch.testing.assert_close(running.var[lane], module.running_var, **TIGHT)


def test_running_statistics_stand_still_when_not_updated() -> None:
    level = Normalization.of("batch")
    running = RunningStatistics(mean=torch.zeros(LANES, CHANNELS), var=torch.ones(LANES, CHANNELS))
    affine = Affine(gamma=torch.ones(LANES, CHANNELS), beta=torch.zeros(LANES, CHANNELS))
    x = torch.randn(LANES, EXAMPLES, CHANNELS) + 4.0
    quiet = normalize_units(x, level, affine, running, training=True, update=False)
    assert torch.equal(running.mean, torch.zeros(LANES, CHANNELS))
    assert torch.equal(running.var, torch.ones(LANES, CHANNELS))
    loud = normalize_units(x, level, affine, running, training=True, update=True)
    assert torch.equal(quiet, loud)
    assert not torch.equal(running.mean, torch.zeros(LANES, CHANNELS))


def test_every_activation_has_an_oracle() -> None:
    assert set(ORACLES) == set(ACTIVATIONS) == set(ACTIVATION_FUNCTIONS)


@pytest.mark.parametrize("name", ORACLES)
def test_activation_is_torchs(name: str) -> None:
    document, build = ORACLES[name]
    level, entry, module = Activation.of(document), ACTIVATION_FUNCTIONS[name], build()
    values = torch.cat([2.0 * normal(EXAMPLES - 1, CHANNELS), torch.zeros(1, CHANNELS, dtype=torch.float64)])
    z, alone = values.clone().requires_grad_(), values.clone().requires_grad_()
    slope = None
    if entry.learned_start is not None:
        slope = torch.full((CHANNELS,), entry.learned_start(level), dtype=torch.float64, requires_grad=True)
    h, expected = entry.forward(z, level, slope), module(alone)
    cotangent = normal(*values.shape, seed=1)
    h.backward(cotangent)
    expected.backward(cotangent)
    torch.testing.assert_close(h, expected, **TIGHT)
    torch.testing.assert_close(z.grad, alone.grad, **TIGHT)
    torch.testing.assert_close(entry.derivative(values, level, slope) * cotangent, alone.grad, **TIGHT)
    if slope is not None:
        torch.testing.assert_close(slope.grad, module.weight.grad, **TIGHT)


@pytest.mark.parametrize("name", ORACLES)
def test_no_derivative_is_steeper_than_its_bound(name: str) -> None:
    level, entry = Activation.of(ORACLES[name][0]), ACTIVATION_FUNCTIONS[name]
    slope = None if entry.learned_start is None else torch.tensor(-1.7, dtype=torch.float64)
    z = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    bound = torch.as_tensor(entry.steepest(level, slope), dtype=torch.float64)
    torch.testing.assert_close(entry.derivative(z, level, slope).abs().max(), bound, rtol=1e-6, atol=0.0)
