"""Optimizers, penalties, clipping and dropout in mixed packs against torch.optim and the equations."""

import pytest
import torch
from torch import Tensor, nn

from actinium.levels import Activation, Normalization
from actinium.trial import Cnn, Mlp, Model, Training, TrialConfig
from workers.draws import StepDraws
from workers.layers import Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.objectives import cross_entropy
from workers.training.optimizers import OPTIMIZERS, Clipping

TRAININGS = [
    {"weight_decay": 0.05},
    {"l1": 0.02, "gradient_clip": 0.5},
    {"gradient_clip": 0.1, "weight_decay": 0.1},
    {},
    {"l1": 0.01, "weight_decay": 0.02, "momentum": 0.0},
]


def lanes_with(trainings: list[dict[str, float]], model: Model, **shared: object) -> list[TrialConfig]:
    normalizations = ["none", "batch", "layer"]
    configs = [
        TrialConfig(
            model=model,
            activation=Activation.of(("relu", "prelu")[lane % 2]),
            normalization=Normalization.of(normalizations[lane % 3]),
            training=Training(learning_rate=0.02 * (1 + lane), **{**shared, **training}),
            seed=lane % 3,
        )
        for lane, training in enumerate(trainings)
    ]
    return [configs[lane] for lane in lane_order(configs)]


def torch_optimizer(params: dict[str, Tensor], training: Training) -> torch.optim.Optimizer:
    weights = [tensor for name, tensor in params.items() if name.endswith(".weight")]
    others = [tensor for name, tensor in params.items() if not name.endswith(".weight")]
    groups = [{"params": weights, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    match training.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum)
        case "adam":
            return torch.optim.Adam(groups, lr=training.learning_rate, foreach=False)
        case "adamw":
            return torch.optim.AdamW(groups, lr=training.learning_rate, foreach=False)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_a_mixed_pack_moves_as_torch_moves_each_lane(optimizer: str) -> None:
    """Five steps in float64; torch clips with clip_grad_norm_, and its L1 is autograd's of the penalty alone."""
    configs = lanes_with(TRAININGS, Mlp(depth=2, width=6), optimizer=optimizer)
    trainings = [config.training for config in configs]
    pack = build_model(configs, dtype=torch.float64)
    stepper, clipping = OPTIMIZERS[optimizer](pack.params, trainings), Clipping(trainings, pack.params["layer_01.bias"])
    alone = [
        {name: tensor[lane].detach().clone().requires_grad_() for name, tensor in pack.params.items()}
        for lane in range(len(configs))
    ]
    steppers = [torch_optimizer(params, t) for params, t in zip(alone, trainings, strict=True)]
    draws = torch.Generator().manual_seed(3)
    for _ in range(5):
        gradients = {
            name: torch.randn(tensor.shape, dtype=torch.float64, generator=draws)
            for name, tensor in pack.params.items()
        }
        for lane, (params, training, step) in enumerate(zip(alone, trainings, steppers, strict=True)):
            for name, tensor in params.items():
                tensor.grad = gradients[name][lane].clone()
            if training.gradient_clip is not None:
                nn.utils.clip_grad_norm_(params.values(), training.gradient_clip)
            sum(training.l1 * p.abs().sum() for name, p in params.items() if name.endswith(".weight")).backward()
            step.step()
        stepper.step(pack.params, clipping(gradients))
    for lane, params in enumerate(alone):
        for name, tensor in params.items():
            torch.testing.assert_close(pack.params[name][lane], tensor, rtol=1e-10, atol=1e-12)


def test_adam_without_decay_is_adamw() -> None:
    moved = []
    for optimizer in ("adam", "adamw"):
        configs = lanes_with([{}, {"l1": 0.1}], Mlp(depth=2, width=6), optimizer=optimizer)
        pack = build_model(configs)
        stepper = OPTIMIZERS[optimizer](pack.params, [config.training for config in configs])
        for _ in range(3):
            stepper.step(pack.params, {name: torch.ones_like(tensor) for name, tensor in pack.params.items()})
        moved.append(pack.params)
    assert all(torch.equal(moved[0][name], moved[1][name]) for name in moved[0])


def test_clipping_bounds_each_lanes_own_norm_and_a_nan_stays_in_its_lane() -> None:
    trainings = [Training(gradient_clip=0.5), Training(), Training(gradient_clip=100.0), Training(gradient_clip=0.5)]
    gradients = {"a.weight": torch.ones(4, 3, 3), "a.bias": torch.full((4, 2), 2.0)}
    gradients["a.bias"][3, 0] = torch.nan
    clipped = Clipping(trainings, torch.zeros(1))(gradients)
    whole = torch.cat([tensor.flatten(1) for tensor in clipped.values()], 1)
    torch.testing.assert_close(whole.norm(dim=1)[:3], torch.tensor([0.5, 17**0.5, 17**0.5]))
    assert torch.isnan(whole[3]).all()
    kept = Clipping(trainings, torch.zeros(1))
    kept.keep([1, 0])
    both = torch.cat([tensor.flatten(1) for tensor in kept({n: g[[1, 0]] for n, g in gradients.items()}).values()], 1)
    torch.testing.assert_close(both, whole[[1, 0]])


@pytest.mark.parametrize("model", [Mlp(depth=2, width=16), Cnn(width=4)], ids=["mlp", "cnn"])
def test_dropout_is_inverted_by_lane_and_only_where_there_are_draws(model: Model) -> None:
    chances = [{"dropout": 0.0}, {"dropout": 0.5}, {"dropout": 0.9}, {"dropout": 0.5}]
    configs = lanes_with(chances, model)
    pack = build_model(configs)
    batch = (8, 4) if pack.lane_axis else (4, 8)
    inputs = torch.randn(*batch, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    bare = pack.forward(pack.params, inputs, Pass.measuring())
    draws = StepDraws([config.seed for config in configs], 0)
    dropped = pack.forward(pack.params, inputs, Pass.measuring(draws=draws))
    for lane, config in enumerate(configs):
        assert torch.equal(bare[lane], dropped[lane]) == (config.training.dropout == 0.0)
        place = (slice(None), slice(lane, lane + 1)) if pack.lane_axis else slice(lane, lane + 1)
        solo = build_model([config])
        own = StepDraws([config.seed], 0)
        alone = solo.forward(solo.params, inputs[place], Pass.measuring(draws=own))
        torch.testing.assert_close(alone[0], dropped[lane], rtol=1e-5, atol=1e-5)
    ones = torch.ones((64, 4, 4, 8, 8) if pack.lane_axis else (4, 400, 40))
    y = pack._dropped("layer_01", ones, draws)
    by_lane = (y if pack.lane_axis == 0 else y.transpose(0, 1)).flatten(1)
    for config, values in zip(configs, by_lane, strict=True):
        p = config.training.dropout
        assert float((values == 0).float().mean()) == pytest.approx(p, abs=0.02)
        survivors = values[values > 0]
        torch.testing.assert_close(survivors, torch.full_like(survivors, 1 / (1 - p)))


def test_the_masked_units_get_no_gradient() -> None:
    (config,) = lanes_with([{"dropout": 0.5}], Mlp(depth=1, width=32))
    pack = build_model([config])
    draws = StepDraws([config.seed], 4)
    logits = pack.forward(pack.params, torch.randn(1, 1, 1, 8, 8), Pass.step(draws=draws))
    (gradient,) = torch.autograd.grad(
        cross_entropy(logits, torch.tensor([[3]])).sum(), [pack.params["classifier.weight"]]
    )
    off = draws.uniform("dropout", "layer_01", slice(None), (1, 32))[0, 0] < 0.5
    assert 0 < int(off.sum()) < 32
    assert not gradient[0, :, off].any()
