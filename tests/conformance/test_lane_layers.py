"""Each normalization of a slice of lanes against torch.nn, lane by lane, forward and backward.

In float64, so that only a wrong formula can exceed the tolerance. Legend: l lanes, B examples, C channels.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from actinium.levels import Normalization
from workers.layers import Pass
from workers.normalizations.apply import Affine, RunningStatistics, normalize_channels, normalize_units

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
    y = normalize(x, level, Affine(gamma=gamma, beta=beta), running, Pass.step() if training else Pass.evaluation())
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
    quiet = normalize_units(x, level, affine, running, Pass.measuring())
    assert torch.equal(running.mean, torch.zeros(LANES, CHANNELS))
    assert torch.equal(running.var, torch.ones(LANES, CHANNELS))
    loud = normalize_units(x, level, affine, running, Pass.step())
    assert torch.equal(quiet, loud)
    assert not torch.equal(running.mean, torch.zeros(LANES, CHANNELS))
