"""Networks whose activations change the number of channels, against networks written out by hand, one lane at a time.

In float64: logits, gradients of every parameter, running statistics, in training and in eval mode.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from actinium.frame import LaneFinished, PackFrames
from actinium.levels import ACTIVATIONS, groups_for
from actinium.trial import TrialConfig
from workers.layers import Parameters, Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order
from workers.training.train import pack_layout, train_pack

DOUBLING = ("crelu", "two_path_half_wave", "two_path_square")
POST = {"name": "batch", "position": "post"}
MLP = {"kind": "mlp", "depth": 3, "width": 8}
MODELS: dict[str, dict[str, Any]] = {
    "mlp": MLP,
    "mlp-residual": {**MLP, "residual": True},
    "cnn": {"kind": "cnn", "width": 4},
    "vgg11": {"kind": "vgg11", "width": 2},
    "resnet20": {"kind": "resnet20", "width": 4},
    "resnet50": {"kind": "resnet50", "width": 2},
}
FITTING = [
    *((model, names) for model in ("mlp", "mlp-residual", "cnn", "vgg11") for names in (DOUBLING, ("modulus",))),
    ("resnet20", ("modulus",)),
    ("resnet50", ("crelu", "two_path_half_wave")),
    ("resnet50", ("modulus",)),
]
"""Squares are not finite after 49 layers; a shortcut without parameters does not take fewer channels than it has."""


def config_of(**document: Any) -> TrialConfig:
    small = {"task": {"train_examples": 64}, "training": {"batch_size": 16, "epochs": 2, "learning_rate": 0.02}}
    config = TrialConfig.model_validate({**small, **document})
    assert config.invalid_design() is None
    return config


def in_order(configs: list[TrialConfig]) -> list[TrialConfig]:
    return [configs[lane] for lane in lane_order(configs)]


def phi(name: str, z: Tensor) -> Tensor:
    """[B, C, ...]."""
    if name == "modulus":
        a, b = z.chunk(2, 1)
        return torch.complex(a, b).abs()
    power = 2 if name == "two_path_square" else 1
    return torch.cat((functional.relu(z) ** power, functional.relu(-z) ** power), 1)


class Alone:
    """One lane's network, from its own parameters and running statistics."""

    def __init__(self, config: TrialConfig, params: Parameters, statistics: Parameters, *, training: bool) -> None:
        self.config, self.params, self.statistics, self.training = config, params, statistics, training

    def _normalized(self, layer: str, y: Tensor) -> Tensor:
        level = self.config.normalization
        gamma, beta = self.params[f"{layer}.gamma"], self.params[f"{layer}.beta"]
        if level.name == "batch":
            running = self.statistics[f"{layer}.running_mean"], self.statistics[f"{layer}.running_var"]
            return functional.batch_norm(y, *running, gamma, beta, training=self.training)
        groups = 1 if level.name == "layer" else groups_for(level, y.shape[1])
        return functional.group_norm(y, groups, gamma, beta)

    def _linear(self, layer: str, x: Tensor, stride: int) -> Tensor:
        """The linear layer, and a normalization that stands before the activation."""
        weight, normal = self.params[f"{layer}.weight"], self.config.normalization
        bias = None if normal == config_of(normalization="batch").normalization else self.params[f"{layer}.bias"]
        if weight.dim() == 2:
            u = functional.linear(x, weight.T, bias)
        else:
            u = functional.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2)
        return self._normalized(layer, u) if normal.parameters.get("position") == "pre" else u

    def layer(self, number: int, x: Tensor, *, stride: int = 1, shortcut: Tensor | float = 0.0) -> Tensor:
        name = f"layer_{number:02d}"
        h = phi(self.config.activation.name, self._linear(name, x, stride) + shortcut)
        return self._normalized(name, h) if self.config.normalization.parameters.get("position") == "post" else h

    def _residual(self, x: Tensor, lengths: tuple[int, ...], convolutions: int) -> Tensor:
        x, number, projection = self.layer(1, x), 1, 0
        for stage, blocks in enumerate(lengths):
            for block in range(blocks):
                stride, y = 2 if stage and not block else 1, x
                for place in range(convolutions - 1):
                    number += 1
                    y = self.layer(number, y, stride=stride if place == convolutions - 2 else 1)
                number += 1
                channels = self.params[f"layer_{number:02d}.weight"].shape[0]
                if convolutions == 3:
                    projection += 1
                    added = self._linear(f"projection_{projection:02d}", x, stride)
                else:
                    kept = x[:, :, ::stride, ::stride]
                    missing = channels - kept.shape[1]
                    added = torch.cat((kept, kept.new_zeros(len(x), missing, *kept.shape[2:])), 1)
                x = self.layer(number, y, shortcut=added)
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Of [B, 1, 8, 8]."""
        kind, depth = self.config.model.kind, len(self.config.layers())
        if kind == "mlp":
            x = x.flatten(1)
            for number in range(1, depth + 1):
                y = self.layer(number, x)
                x = x + y if self._sums and number > 1 else y
        elif kind == "cnn":
            x = self.layer(2, functional.max_pool2d(self.layer(1, x), 2))
        elif kind == "vgg11":
            for number in range(1, 9):
                x = self.layer(number, x)
                x = functional.max_pool2d(x, 2) if number in (1, 2, 4, 6, 8) and x.shape[-1] > 1 else x
        elif kind == "resnet20":
            x = self._residual(x, (3, 3, 3), 2)
        else:
            x = self._residual(x, (3, 4, 6, 3), 3)
        features = x if x.dim() == 2 else x.mean((2, 3))
        return functional.linear(features, self.params["classifier.weight"], self.params["classifier.bias"])

    @property
    def _sums(self) -> bool:
        return bool(self.config.model.model_dump()["residual"])


@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize(("model", "activations"), FITTING)
@pytest.mark.parametrize("normalizations", [("none", "batch", "group"), (POST,)], ids=["pre", "post"])
def test_a_pack_is_its_lanes_written_out(
    model: str, activations: tuple[str, ...], normalizations: tuple[Any, ...], training: bool
) -> None:
    configs = in_order(
        [
            config_of(model=MODELS[model], activation=name, normalization=normal, seed=seed)
            for seed, (name, normal) in enumerate((a, n) for a in activations for n in normalizations)
        ]
    )
    assert len({config.pack_key() for config in configs}) == 1
    pack = build_model(configs, dtype=torch.float64)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in {**pack.params, **pack.statistics}.items():
            if name.split(".")[1] in ("bias", "gamma", "beta", "running_mean"):
                tensor += 0.3 * torch.randn(tensor.shape, dtype=torch.float64, generator=source)
    x = torch.randn(16, 1, 8, 8, dtype=torch.float64, generator=source)
    stacked = (
        x.expand(len(configs), *x.shape)
        if pack.lane_axis == 0
        else x.unsqueeze(1).expand(-1, len(configs), *x.shape[1:])
    )
    before = {name: tensor.clone() for name, tensor in pack.statistics.items()}
    found = pack.forward(pack.params, stacked, Pass.step() if training else Pass.evaluation())
    cotangent = torch.randn(found.shape, dtype=torch.float64, generator=source)
    gradients = torch.autograd.grad((found * cotangent).sum(), list(pack.params.values()), materialize_grads=True)
    for lane, config in enumerate(configs):
        own = {name: tensor[lane].detach().clone().requires_grad_() for name, tensor in pack.params.items()}
        moved = {name: tensor[lane].clone() for name, tensor in before.items()}
        expected = Alone(config, own, moved, training=training).logits(x)
        torch.testing.assert_close(found[lane], expected, rtol=1e-9, atol=1e-10)
        wanted = torch.autograd.grad(
            (expected * cotangent[lane]).sum(), list(own.values()), allow_unused=True, materialize_grads=True
        )
        for name, theirs, ours in zip(own, wanted, gradients, strict=True):
            torch.testing.assert_close(
                ours[lane], theirs, rtol=1e-7, atol=1e-9 * float(1 + theirs.abs().max()), msg=name
            )
        if config.normalization.name == "batch":
            for name, tensor in moved.items():
                if not (name.startswith("projection") and config.normalization.parameters["position"] == "post"):
                    torch.testing.assert_close(pack.statistics[name][lane], tensor, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", MODELS)
def test_the_trace_and_the_derivative_have_the_widths_that_the_config_says(model: str) -> None:
    for name in ACTIVATIONS:
        if ACTIVATIONS[name].ratio == 1 or (model == "resnet20" and name != "modulus"):
            continue
        config = config_of(model=MODELS[model], activation=name)
        pack, trace = build_model([config]), Trace()
        x = torch.randn((1, 4, 1, 8, 8) if pack.lane_axis == 0 else (4, 1, 1, 8, 8))
        pack.forward(pack.params, x, Pass.measuring(trace=trace))

        def shape(tensor: Tensor) -> tuple[int, int]:
            return tensor.shape[2], tensor[0, 0, 0].numel() if tensor.dim() == 5 else 1

        assert [shape(z) for z in trace.preactivations] == config.layers()
        assert [shape(h) for h in trace.activations] == config.activated()
        for layer, (z, (inputs, _), (outputs, _)) in enumerate(
            zip(trace.preactivations, config.layers(), config.activated(), strict=True)
        ):
            assert pack.derivative(pack.params, layer, z).shape[2] == max(inputs, outputs)
            assert pack.steepest(pack.params, layer).shape == (1, min(inputs, outputs))


MIXED = [
    config_of(
        model={**MLP, "width": width},
        activation={"name": name, "width_policy": policy},
        normalization=normal,
        seed=seed,
    )
    for seed, (name, normal) in enumerate((a, n) for a in DOUBLING for n in ("none", "batch", "layer"))
    for width, policy in ((8, "same_in"), (16, "matched_out"))
]


def events_of(configs: list[TrialConfig]) -> tuple[list[dict[int, Any]], list[LaneFinished]]:
    """Each lane's rows by step, and the ends."""
    rows: list[dict[int, Any]] = [{} for _ in configs]
    ends = []
    for event in train_pack(configs):
        if isinstance(event, PackFrames):
            for lane, row in zip(event.lanes, event.values, strict=True):
                rows[lane][event.step] = row
        else:
            ends.append(event)
    return rows, sorted(ends, key=lambda end: end.lane)


def test_a_lane_alone_is_the_lane_in_company() -> None:
    """The three doubling levels, three normalizations and two ways to a width of eight train in one pack."""
    together, ends = events_of(MIXED)
    losses = [pack_layout(MIXED[0]).series.index(name) for name in ("train_loss", "validation_loss")]
    for lane in range(0, len(MIXED), 5):
        (alone,), (end,) = events_of([MIXED[lane]])
        assert alone.keys() == together[lane].keys()
        for step, row in alone.items():
            np.testing.assert_allclose(row[losses], together[lane][step][losses], rtol=2e-4)
        assert end.summary.parameters == ends[lane].summary.parameters
        assert end.summary.metrics.keys() == ends[lane].summary.metrics.keys()
        assert end.summary.metrics["linear_width"] == 8


def test_two_names_of_one_function_are_one_function() -> None:
    rows, _ = events_of([config_of(model=MLP, activation=name) for name in ("crelu", "two_path_half_wave")])
    for step, row in rows[0].items():
        np.testing.assert_array_equal(row, rows[1][step])


def test_one_that_diverges_leaves_the_others_as_they_were() -> None:
    squares = config_of(
        model=MLP, activation="two_path_square", training={"batch_size": 16, "epochs": 2, "learning_rate": 1e5}
    )
    crelu = config_of(model=MLP, activation="crelu")
    together, ends = events_of([squares, crelu])
    (alone,), _ = events_of([crelu])
    assert [end.summary.outcome.value for end in ends[:1]] == ["diverged"]
    for step, row in alone.items():
        np.testing.assert_array_equal(row, together[1][step])
