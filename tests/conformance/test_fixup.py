"""Fixup against modules written by its paper's three rules (Zhang et al. 2019, section 3; SCIENCE C13).

Legend: K branches of m layers.
"""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actinium.frame import LaneFinished
from actinium.levels import Activation, Initialization, Normalization
from actinium.trial import Mlp, Model, Probes, ResNet20, ResNet50, Schedule, Task, Training, TrialConfig
from workers.layers import Pass
from workers.models import build_model
from workers.models.lanes import PackedNetworks
from workers.models.slices import lane_order
from workers.models.start import base_draws, parameter_count
from workers.training.train import train_pack

MODELS: dict[str, Model] = {
    "mlp": Mlp(depth=4, width=8, residual=True, residual_activation="after_add"),
    "resnet20": ResNet20(width=4),
    "resnet50": ResNet50(width=2),
}


def config_of(
    model: Model, initialization: object = "fixup", activation: object = "relu", seed: int = 0
) -> TrialConfig:
    return TrialConfig(
        model=model,
        initialization=Initialization.of(initialization),
        activation=Activation.of(activation),
        training=Training(batch_size=8, epochs=1, learning_rate=0.05),
        task=Task(train_examples=40),
        probes=Probes(schedule=Schedule(points=3)),
        seed=seed,
    )


def mixed(model: Model) -> list[TrialConfig]:
    """A pack of Fixup lanes and others."""
    levels = [("fixup", "relu"), ("he", "relu"), ("fixup", "tanh"), ("xavier", "prelu")]
    found = [config_of(model, rule, phi, seed=number % 2) for number, (rule, phi) in enumerate(levels)]
    return [found[lane] for lane in lane_order(found)]


def moved(model: PackedNetworks) -> None:
    """Away from the start, where nothing is zero any more."""
    source = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.params.values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=source, dtype=torch.float64)


class ByThePaper(nn.Module):
    """One lane: no bias but scalars before every linear layer and activation, a multiplier for every branch."""

    def __init__(self, model: PackedNetworks, lane: int) -> None:
        super().__init__()
        self.config = model.configs[lane]
        self.values = nn.ParameterDict(
            {
                name.replace(".", "/"): nn.Parameter(tensor[lane].detach().clone())
                for name, tensor in model.params.items()
            }
        )

    def of(self, layer: str, what: str) -> Tensor:
        return self.values[f"{layer}/{what}"]

    def linear(self, layer: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, x = self.of(layer, "weight"), x + self.of(layer, "input_shift")
        if weight.dim() == 2:
            return x @ weight
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def activated(self, layer: str, z: Tensor) -> Tensor:
        phi = {"relu": torch.relu, "tanh": torch.tanh}[self.config.activation.name]
        return phi(z + self.of(layer, "output_shift"))

    def forward(self, x: Tensor) -> Tensor:
        model = self.config.model
        if isinstance(model, Mlp):
            x = self.activated("layer_01", self.linear("layer_01", x.flatten(1)))
            for number in range(2, model.depth + 1):
                layer = f"layer_{number:02d}"
                # the shift before the activation is added to the sum, which is the same as to the branch
                x = self.activated(layer, x + self.linear(layer, x) * self.of(layer, "multiplier"))
        else:
            assert isinstance(model, ResNet20 | ResNet50)
            x = self.activated("layer_01", self.linear("layer_01", x))
            for block in model.architecture((1, 8, 8)).blocks:
                y = x
                for place in block.convolutions[:-1]:
                    y = self.activated(place.name, self.linear(place.name, y, place.stride))
                last = block.convolutions[-1]
                y = self.linear(last.name, y, last.stride) * self.of(last.name, "multiplier")
                if block.projection is not None:
                    x = self.linear(block.projection.name, x, block.stride)
                elif y.shape[1] != x.shape[1]:
                    x = torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], 1)
                x = self.activated(last.name, x + y)
            x = x.mean((2, 3))
        return functional.linear(
            x + self.of("classifier", "input_shift"), self.of("classifier", "weight"), self.of("classifier", "bias")
        )


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_lanes_are_the_papers_networks_forward_and_backward(model: Model) -> None:
    """In a mixed pack, float64, away from the start; the scalars' gradients too, and none in other lanes."""
    lanes = build_model(mixed(model), dtype=torch.float64)
    moved(lanes)
    inputs = torch.randn(
        len(lanes.configs), 6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    layout = inputs if lanes.lane_axis == 0 else inputs.transpose(0, 1)
    logits = lanes.forward(lanes.params, layout, Pass.step())
    gradients = torch.autograd.grad(logits.sin().sum(), list(lanes.params.values()), materialize_grads=True)
    found = dict(zip(lanes.params, gradients, strict=True))
    for lane, config in enumerate(lanes.configs):
        if config.initialization.name != "fixup":
            for name in found:
                if name.endswith(("_shift", ".multiplier")):
                    assert bool((found[name][lane] == 0).all()), name
            continue
        plain = ByThePaper(lanes, lane)
        expected = plain(inputs[lane])
        torch.testing.assert_close(logits[lane], expected, rtol=1e-9, atol=1e-9)
        expected.sin().sum().backward()
        for name, gradient in found.items():
            by_hand = plain.values[name.replace(".", "/")].grad
            assert by_hand is not None or bool((gradient[lane] == 0).all()), name
            if by_hand is not None:
                torch.testing.assert_close(gradient[lane], by_hand, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(("name", "inner"), [("resnet20", 9 ** (-1 / 2)), ("resnet50", 16 ** (-1 / 4))])
def test_weights_start_as_the_rule_says(name: str, inner: float) -> None:
    """He's by the same draws: as they are in stem and projections, K^(-1 / (2 m - 2)) inside, 0 at the end of each."""
    config = config_of(MODELS[name])
    fixup, he = build_model([config]).params, build_model([config_of(MODELS[name], "he")]).params
    branches = config.branches()
    assert len(branches) == (9 if name == "resnet20" else 16)
    inside = {layer for branch in branches for layer in branch[:-1]}
    last = {branch[-1] for branch in branches} | {"classifier"}
    for layer in (weight.removesuffix(".weight") for weight in he if weight.endswith(".weight")):
        share = inner if layer in inside else 0.0 if layer in last else 1.0
        torch.testing.assert_close(fixup[f"{layer}.weight"], share * he[f"{layer}.weight"])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_network_starts_blind(model: Model) -> None:
    """All logits are 0."""
    lanes = build_model([config_of(model)])
    inputs = torch.randn(1, 4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    layout = inputs if lanes.lane_axis == 0 else inputs.transpose(0, 1)
    logits = lanes.forward(lanes.params, layout, Pass.measuring())
    assert bool((logits == 0).all())


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_what_fixup_learns_is_counted(model: Model) -> None:
    """Weights, the classifier's biases, a shift before each layer and activation, and K multipliers."""
    configs = mixed(model)
    params = build_model(configs).params
    weights = sum(tensor[0].numel() for name, tensor in params.items() if name.endswith(".weight"))
    for config in configs:
        if config.initialization.name == "fixup":
            layers, projections = len(config.layers()), sum(name.startswith("projection_") for name in params) // 3
            expected = weights + 10 + 2 * layers + projections + 1 + len(config.branches())
            assert parameter_count(config, params) == parameter_count(config, build_model([config]).params) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "resnet20"])
def test_a_trial_is_the_same_alone_and_in_company(name: str) -> None:
    """Every lane's summary, to rounding; and a network that started blind has learned."""
    configs = mixed(MODELS[name])
    together = {e.lane: e.summary.metrics for e in train_pack(configs) if isinstance(e, LaneFinished)}
    for lane, config in enumerate(configs):
        (alone,) = [e.summary.metrics for e in train_pack([config]) if isinstance(e, LaneFinished)]
        for metric in ("train_loss", "validation_loss", "test_loss"):
            assert together[lane][metric] == pytest.approx(alone[metric], rel=1e-4), (config.run_name(), metric)
        if config.initialization.name == "fixup":
            assert alone["validation_loss"] < 2.302


@pytest.mark.parametrize(
    ("model", "normalization", "reason"),
    [
        (Mlp(depth=3), "none", "this network has none"),
        (Mlp(depth=1, residual=True, residual_activation="after_add"), "none", "this network has none"),
        (Mlp(depth=3, residual=True), "none", "after_add"),
        (ResNet20(), "batch", "takes the place of normalization"),
    ],
)
def test_where_fixup_cannot_stand_the_reason_is_given(model: Model, normalization: str, reason: str) -> None:
    config = config_of(model).model_copy(update={"normalization": Normalization.of(normalization)})
    assert reason in str(config.invalid_design())
    assert config_of(MODELS["mlp"]).invalid_design() is config_of(MODELS["resnet50"]).invalid_design() is None


def test_fixup_draws_what_he_draws() -> None:
    """Common random numbers: the stem is He's draws of the same stream."""
    weight = build_model([config_of(MODELS["mlp"], seed=5)]).params["layer_01.weight"][0]
    torch.testing.assert_close(weight, base_draws(5, 1, (64, 8)) * (2 / 64) ** 0.5)
