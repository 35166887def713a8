"""`training.precision`: torch.autocast as oracle, and float32 for everything but the products of training steps."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from actinium.frame import LaneFinished, PackFrames
from actinium.study import expand, parse_study
from actinium.trial import Cnn, Lstm, Mlp, Model, Probes, ResNet20, Rnn, Schedule, Task, Training, TrialConfig
from workers.layers import Pass
from workers.models import build_model
from workers.objectives import cross_entropy
from workers.training.precision import ARITHMETIC, precision_on
from workers.training.train import pack_layout, train_pack

BFLOAT_ULP = 2.0**-8
"""Half the distance of neighbouring bfloat16 numbers is at most this share of them."""


def config(precision: str = "float32", *, model: Model | None = None, **update: Any) -> TrialConfig:
    document = {
        "task": Task(train_examples=96),
        "model": model or Mlp(depth=2, width=16),
        "training": Training.model_validate({"batch_size": 32, "epochs": 2, "precision": precision}),
        "probes": Probes(schedule=Schedule(points=3)),
        **update,
    }
    return TrialConfig.model_validate(document)


def train(*configs: TrialConfig) -> tuple[list[PackFrames], list[LaneFinished]]:
    events = list(train_pack(configs))
    frames = [event for event in events if isinstance(event, PackFrames)]
    return frames, [event for event in events if isinstance(event, LaneFinished)]


class Autocast(nn.Module):
    """One lane's MLP as anybody would write it: products under torch.autocast, the rest in float32."""

    def __init__(self, params: dict[str, Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for name in ("layer_01", "layer_02", "classifier"):
            weight = params[f"{name}.weight"][0].detach()
            weight = weight if name == "classifier" else weight.T
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(params[f"{name}.bias"][0].detach())
            self.layers.append(layer)
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            with torch.autocast("cpu", torch.bfloat16):
                x = layer(x)
            x = x.float()
            if number < 2:
                x = torch.relu(nn.functional.batch_norm(x, None, None, training=True))
        return x


def test_bf16_is_what_autocast_gives() -> None:
    torch.manual_seed(0)
    model = build_model([config("bf16", normalization="batch")])
    inputs, labels = torch.randn(1, 32, 1, 8, 8), torch.randint(10, (1, 32))
    module = Autocast(model.params)
    with ARITHMETIC["bf16"]():
        logits = model.forward(model.params, inputs, Pass.step())
        loss = cross_entropy(logits, labels)
        wanted = [model.params[f"{name}.weight"] for name in ("layer_01", "layer_02", "classifier")]
        gradients = torch.autograd.grad(loss.sum(), wanted)
    expected = module(inputs.flatten(2)[0])
    nn.functional.cross_entropy(expected, labels[0]).backward()
    assert logits.dtype == torch.float32 and all(gradient.dtype == torch.float32 for gradient in gradients)
    torch.testing.assert_close(logits[0], expected, rtol=BFLOAT_ULP, atol=BFLOAT_ULP)
    for gradient, layer in zip(gradients, module.layers, strict=True):
        own = gradient[0] if layer is module.layers[2] else gradient[0].T  # the classifier's has classes first
        scale = layer.weight.grad.abs().max()
        torch.testing.assert_close(own / scale, layer.weight.grad / scale, rtol=0, atol=2 * BFLOAT_ULP)
    exact = model.forward(model.params, inputs, Pass.measuring())
    assert (logits - exact).abs().max() > 1e-4, "float32 is something else"


def test_products_are_of_rounded_factors_and_forward_and_backward() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 7, requires_grad=True)
    w = torch.randn(2, 7, 3, requires_grad=True)
    with ARITHMETIC["bf16"]():
        y = torch.bmm(x, w)
        untouched = x * 1.0000001
    exact = torch.bmm(x.bfloat16().double(), w.bfloat16().double())
    torch.testing.assert_close(y.double(), exact, rtol=BFLOAT_ULP, atol=1e-6)
    assert torch.equal(y, y.bfloat16().float()) and torch.equal(untouched, x * 1.0000001)
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(gradient, gradient.bfloat16().float())


@pytest.mark.parametrize(
    "model",
    [Mlp(depth=2, width=16), Cnn(width=4), ResNet20(width=4), Rnn(width=8), Lstm(width=8)],
    ids=lambda m: m.kind,
)
def test_every_model_trains_in_bf16_and_is_measured_in_float32(model: Model) -> None:
    levels = ("none", "batch") if model.kind != "resnet20" else ("batch", "layer")
    tanh = {"activation": "tanh"} if model.kind in ("rnn", "lstm") else {}
    exact, rounded = (
        [config(precision, model=model, normalization=level, **tanh) for level in levels]
        for precision in ("float32", "bf16")
    )
    (first, *_), _ = train(*exact)
    (start, *rest), finished = train(*rounded)
    series = pack_layout(exact[0]).series
    np.testing.assert_array_equal(start.values[:, 1:], first.values[:, 1:])  # all but the loss of a training step
    np.testing.assert_allclose(start.values[:, 0], first.values[:, 0], rtol=0.02)
    assert not np.array_equal(start.values[:, 0], first.values[:, 0])
    assert series[0] == "train_loss" and np.isfinite(rest[-1].values[:, 0]).all()
    assert [lane.summary.precision for lane in finished] == ["bf16", "bf16"]


def test_a_lane_in_bf16_is_the_same_in_company() -> None:
    levels = [config("bf16", normalization=level, seed=seed) for seed, level in enumerate(("none", "batch", "layer"))]
    together, _ = train(*levels)
    for lane, alone in enumerate(levels):
        frames, _ = train(alone)
        for ours, theirs in zip(frames, together, strict=True):
            np.testing.assert_allclose(ours.values[0, :2], theirs.values[lane, :2], rtol=0.02)


def test_tf32_is_float32_on_a_cpu_and_said_to_be() -> None:
    frames, finished = train(config("tf32", normalization="batch"))
    exact, _ = train(config("float32", normalization="batch"))
    for ours, theirs in zip(frames, exact, strict=True):
        np.testing.assert_array_equal(ours.values, theirs.values)
    assert finished[0].summary.precision == "float32"
    assert (precision_on("cuda:0", "tf32"), precision_on("cuda", "bf16")) == ("tf32", "bf16")


def test_tf32_is_allowed_within_a_step_only() -> None:
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    with pytest.raises(ValueError, match="inside"), ARITHMETIC["tf32"]():
        assert all(backend.allow_tf32 for backend in backends)
        raise ValueError("inside")
    assert [backend.allow_tf32 for backend in backends] == before


def test_precision_is_a_level_like_any_other() -> None:
    document = {"name": "precise", "factors": {"training.precision": ["float32", "tf32", "bf16"]}}
    cells = expand(parse_study(document)).cells
    assert len({cell.config.digest() for cell in cells}) == 3
    assert len({cell.config.pack_key() for cell in cells}) == 3
    assert cells[0].config == TrialConfig(probes=cells[0].config.probes)
