"""Residual and deep fully connected networks against networks written out by hand."""

import pytest
import torch
from torch import nn

from actinium.levels import Activation, Initialization, Normalization
from actinium.trial import Mlp, TrialConfig
from workers.layers import Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order

NORMALS = ["none", "batch", {"name": "batch", "position": "post"}, "layer"]


def lanes_of(model: Mlp, **fields: object) -> list[TrialConfig]:
    configs = [
        TrialConfig(
            model=model,
            activation=Activation.of(("tanh", "relu")[lane % 2]),
            normalization=Normalization.of(level),
            seed=lane,
            **fields,
        )
        for lane, level in enumerate(NORMALS)
    ]
    return [configs[lane] for lane in lane_order(configs)]


def by_hand(config: TrialConfig, params: dict[str, torch.Tensor], lane: int, x: torch.Tensor) -> torch.Tensor:
    """The equations of `Mlp`, one layer at a time, training mode."""
    model = config.model
    assert isinstance(model, Mlp)
    phi = {"tanh": torch.tanh, "relu": torch.relu}[config.activation.name]
    norm = {
        "none": nn.Identity(),
        "batch": nn.BatchNorm1d(model.width),
        "layer": nn.LayerNorm(model.width),
    }[config.normalization.name].double()
    post = config.normalization.parameters.get("position") == "post"
    x = x.flatten(1)
    for number in range(1, model.depth + 1):
        u = x @ params[f"layer_{number:02d}.weight"][lane]
        skip = x if model.residual and number > 1 else torch.zeros(())
        if model.residual_activation == "after_add":
            x = norm(phi(u + skip)) if post else phi(norm(u) + skip)
        else:
            x = skip + (norm(phi(u)) if post else phi(norm(u)))
    return x @ params["classifier.weight"][lane].T


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("residual_activation", ["inside", "after_add"])
def test_the_sum_stands_where_the_config_says(residual: bool, residual_activation: str) -> None:
    configs = lanes_of(Mlp(depth=4, width=12, residual=residual, residual_activation=residual_activation))
    pack = build_model(configs, dtype=torch.float64)
    images = torch.randn(4, 16, 1, 8, 8, dtype=torch.float64)
    logits = pack.forward(pack.params, images, Pass.step())
    weights = [pack.params[name] for name in pack.params if name.endswith(".weight")]
    gradients = torch.autograd.grad(logits.square().sum(), weights)
    for lane, config in enumerate(configs):
        expected = by_hand(config, pack.params, lane, images[lane])
        torch.testing.assert_close(logits[lane], expected, rtol=1e-9, atol=1e-9)
        for got, wanted in zip(gradients, torch.autograd.grad(expected.square().sum(), weights), strict=True):
            torch.testing.assert_close(got[lane], wanted[lane], rtol=1e-7, atol=1e-8)


def test_the_trace_of_a_sum_is_what_the_activation_receives() -> None:
    configs = lanes_of(Mlp(depth=3, width=12, residual=True, residual_activation="after_add"))
    pack, trace = build_model(configs), Trace()
    pack.forward(pack.params, torch.randn(4, 16, 1, 8, 8), Pass.step(trace=trace))
    for lane, config in enumerate(configs):
        phi = {"tanh": torch.tanh, "relu": torch.relu}[config.activation.name]
        for z, h in zip(trace.preactivations, trace.activations, strict=True):
            assert torch.equal(phi(z[lane]), h[lane])


@pytest.mark.parametrize(
    ("residual", "residual_activation", "low", "high"),
    [(False, "inside", 0.8, 1.2), (True, "inside", 2.0**90, 2.0**108), (True, "after_add", 2.0**90, 2.0**108)],
)
def test_a_hundred_linear_layers_keep_or_double_the_variance(
    residual: bool, residual_activation: str, low: float, high: float
) -> None:
    """Orthogonal layers keep a variance; with identity shortcuts it doubles a layer: 2^99 (SCIENCE C13)."""
    config = TrialConfig(
        model=Mlp(depth=100, width=64, residual=residual, residual_activation=residual_activation),
        activation=Activation.of("linear"),
        initialization=Initialization.of({"name": "orthogonal"}),
    )
    pack, trace = build_model([config], dtype=torch.float64), Trace()
    images = torch.randn(1, 256, 1, 8, 8, dtype=torch.float64)
    logits = pack.forward(pack.params, images, Pass.measuring(trace=trace))
    assert torch.isfinite(logits).all() and len(trace.activations) == 100
    assert pack.hidden_names[8:10] == ["layer_09", "layer_10"] and pack.hidden_names[-1] == "layer_100"
    growth = float(logits.detach().var() / images.var())
    assert low < growth < high
