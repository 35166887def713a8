"""Objectives against torch.nn and closed forms: losses, errors, and what stands for no learning."""

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from actinium.frame import LaneFinished, Outcome, PackFrames
from actinium.levels import Activation, Initialization, Normalization
from actinium.objectives import OBJECTIVES
from actinium.terminal.show import learned
from actinium.trial import Mlp, Shift, Task, Training, TrialConfig
from services.api.catalogue import catalogue
from workers.datasets import load_task, split
from workers.models import build_model
from workers.objectives import OBJECTIVE_FUNCTIONS, Measure, SquaredErrors, squared_error
from workers.training.batches import epoch_order, pack_data
from workers.training.constant_guess import constant_guesses, constant_within
from workers.training.train import train_pack

LINE = Task(dataset="regression_1d", parameters={"function": "linear", "noise": 0.2, "examples": 500})


def line(**fields: Any) -> TrialConfig:
    """A network without a bend on a noisy line."""
    return TrialConfig(
        **{
            "task": LINE,
            "model": Mlp(depth=1, width=4),
            "activation": Activation.of("linear"),
            "training": Training(learning_rate=0.05, epochs=40, batch_size=50),
            **fields,
        }
    )


def ends(configs: list[TrialConfig]) -> list[LaneFinished]:
    """Summaries in the order of the configs."""
    finished = [event for event in train_pack(configs) if isinstance(event, LaneFinished)]
    return sorted(finished, key=lambda event: event.lane)


def test_every_objective_has_its_functions() -> None:
    assert list(OBJECTIVE_FUNCTIONS) == list(OBJECTIVES)


def test_the_squared_error_is_torchs_lane_by_lane() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64)
    losses = squared_error(outputs, targets)
    expected = torch.stack([functional.mse_loss(y, t) for y, t in zip(outputs, targets, strict=True)])
    torch.testing.assert_close(losses, expected)
    for found, wanted in zip(
        torch.autograd.grad(losses.sum(), outputs), torch.autograd.grad(expected.sum(), outputs), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    assert torch.autograd.gradcheck(lambda y: squared_error(y, targets), outputs)


def test_a_tally_in_parts_is_the_formula_on_the_whole() -> None:
    """Unexplained variance 1 - R^2, tolerance over all outputs of an example, PSNR in the dataset's units."""
    generator = torch.Generator().manual_seed(1)
    targets = 3.0 + torch.randn(2, 40, 4, generator=generator)
    outputs = targets + 0.3 * torch.randn(2, 40, 4, generator=generator)
    units = torch.rand(2, 4, generator=generator) + 0.5
    tally = SquaredErrors(Measure(units=units, value_range=10.0))
    close = SquaredErrors(Measure(tolerance=0.3))
    for part in torch.arange(40).tensor_split(3):
        tally.add(outputs[:, part], targets[:, part])
        close.add(outputs[:, part], targets[:, part])
    scores = tally.scores()
    torch.testing.assert_close(scores.loss, (outputs - targets).square().mean((1, 2)))
    residual = (outputs - targets).square().sum((1, 2))
    total = (targets - targets.mean(1, keepdim=True)).square().sum((1, 2))
    torch.testing.assert_close(scores.error, residual / total, rtol=1e-5, atol=0)
    mse = ((outputs - targets) * units.unsqueeze(1)).square().mean((1, 2))
    torch.testing.assert_close(scores.extra["psnr"], 20 * math.log10(10.0) - 10 * mse.log10(), rtol=1e-5, atol=0)
    far = ((outputs - targets).abs() > 0.3).any(2).float().mean(1)
    torch.testing.assert_close(close.scores().error, far)
    torch.testing.assert_close(tally.variance(), targets.double().var(1, correction=0).mean(1))


def test_errors_stay_in_their_bounds() -> None:
    """Worse than a constant, or not finite, is all wrong; a constant target leaves nothing to learn."""
    targets = torch.tensor([0.0, 1.0]).view(1, 2, 1).expand(3, 2, 1)
    outputs = torch.stack([targets[0] + 9.0, torch.full((2, 1), math.nan), targets[0]])
    for measure in (Measure(), Measure(tolerance=0.1)):
        tally = SquaredErrors(measure)
        tally.add(outputs, targets)
        assert tally.scores().error.tolist() == [1.0, 1.0, 0.0]
    still = SquaredErrors(Measure())
    still.add(torch.tensor([[[2.0]], [[3.0]]]), torch.full((2, 1, 1), 2.0))
    assert still.scores().error.tolist() == [0.0, 1.0]


def test_a_linear_network_comes_to_least_squares() -> None:
    """Full batches, no bend: weights of the closed-form solution, and its loss and error on the test part."""
    config = line(training=Training(learning_rate=0.1, momentum=0.9, epochs=400, batch_size=300))
    (end,) = ends([config])
    arrays, parts = load_task(LINE, seed=0), split(LINE, load_task(LINE, seed=0).labels, 0)
    assert arrays.targets is not None
    x, t = arrays.inputs.flatten(1).double().numpy(), arrays.targets.double().numpy()
    design = np.hstack([x, np.ones_like(x)])
    solution, *_ = np.linalg.lstsq(design[parts.train], t[parts.train], rcond=None)
    rest = (design @ solution - t)[parts.test]
    assert end.summary.metrics["test_loss"] == pytest.approx(float((rest**2).mean()), rel=1e-4)
    assert end.summary.metrics["test_error"] == pytest.approx(float((rest**2).mean() / t[parts.test].var()), rel=1e-4)
    assert end.summary.outcome is Outcome.LEARNED


def test_a_pack_trains_as_torch_does() -> None:
    """SGD with momentum on mean squared errors, side by side; the first loss is that of the first batch."""
    config = line(activation=Activation.of("tanh"), training=Training(learning_rate=0.05, epochs=3, batch_size=50))
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    pack = build_model([config])
    net = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    with torch.no_grad():
        net[0].weight.copy_(pack.params["layer_01.weight"][0].T)
        net[2].weight.copy_(pack.params["classifier.weight"][0])
        net[0].bias.zero_()
        net[2].bias.zero_()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for epoch in range(3):
        for batch in epoch_order(data, [config], epoch).split(50, dim=1):
            inputs, targets = data.take(batch)
            loss = functional.mse_loss(net(inputs[0].flatten(1)), targets[0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    frames = [event for event in train_pack([config]) if isinstance(event, PackFrames)]
    frames = [frame for frame in frames if frame.step in config.evaluation_steps()]
    assert frames[0].values[0, 0] == pytest.approx(losses[0], rel=1e-5)
    for before, after in pairwise(frames):
        mean = sum(losses[before.step : after.step]) / (after.step - before.step)
        assert after.values[0, 0] == pytest.approx(mean, rel=1e-4)
    assert data.validation.shape[1] == 100 and data.train.shape[1] == 300
    inputs, targets = data.take(data.validation)
    squares = (net(inputs[0].flatten(1)) - targets[0]).square()
    _, on_the_first, on_all, accuracy = frames[-1].values[0, :4].tolist()
    assert on_the_first == pytest.approx(squares[:64].mean().item(), rel=1e-4)
    assert on_all == pytest.approx(squares.mean().item(), rel=1e-4)
    assert accuracy == pytest.approx(1.0 - squares.mean().item() / targets[0].var(correction=0).item(), rel=1e-4)


def test_a_lane_alone_is_the_lane_in_company() -> None:
    configs = [
        line(
            seed=seed,
            activation=Activation.of(activation),
            normalization=Normalization.of(level),
            training=Training(learning_rate=0.05, epochs=4, batch_size=50),
        )
        for seed in (0, 1)
        for activation in ("relu", "tanh")
        for level in ("none", "batch")
    ]
    configs = [
        c.model_copy(update={"training": Training(learning_rate=0.05, epochs=4, batch_size=50)}) for c in configs
    ]
    together = ends(configs)
    for config, end in list(zip(configs, together, strict=True))[::3]:
        (alone,) = ends([config])
        assert alone.summary.outcome is end.summary.outcome
        for name, value in alone.summary.metrics.items():
            if "loss" in name or "error" in name or "gap" in name:
                assert end.summary.metrics[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_what_needs_no_learning() -> None:
    """A constant's loss is the variance; to count as learned takes a correlation of four standard errors."""
    config = line()
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    (constant,) = constant_guesses(data, [config])
    held = data.take(data.validation)[1][0]
    assert constant.loss == pytest.approx(held.var(correction=0).item())
    assert constant.chance_error == 1.0
    assert constant.error == pytest.approx(1 - 16 / 100)
    frozen = line(initialization=Initialization.of("zero"), training=Training(learning_rate=1e-6, epochs=1))
    (end,) = ends([frozen])
    assert end.summary.outcome is Outcome.STALLED


def test_luck_rarely_explains_as_much_as_an_outcome_asks() -> None:
    """Of 4,000 outputs unrelated to 100 targets, scaled as well as can be, hardly one explains 16 %."""
    generator = np.random.default_rng(0)
    correlations = [np.corrcoef(generator.standard_normal((2, 100)))[0, 1] for _ in range(4000)]
    assert np.mean(np.square(correlations) > 0.16) < 2e-3


def test_the_best_constant_within_a_tolerance() -> None:
    targets = np.array([[0.0], [0.1], [0.2], [0.9], [1.0]], dtype=np.float32)
    assert constant_within(targets, 0.11) == 3 / 5
    assert constant_within(targets, 0.01) == 1 / 5
    assert constant_within(np.hstack([targets, np.arange(5, dtype=np.float32)[:, None]]), 0.11) == 1 / 5


def test_a_shift_of_test_inputs_leaves_numbers_as_they_are() -> None:
    plain, moved = line(), line(task=LINE.model_copy(update={"shift": Shift(scale=2.0)}))
    data = [pack_data([config], lane_axis=0, device="cpu", data_root=None) for config in (plain, moved)]
    (x, t), (y, u) = (part.take(part.test) for part in data)
    assert torch.equal(t, u) and not torch.allclose(x, y)


def test_the_catalogue_says_what_is_learned() -> None:
    """Loss, error and citation of every objective; of every dataset its classes, numbers or images."""
    document = json.loads(json.dumps(catalogue(), allow_nan=False))
    assert [entry["name"] for entry in document["objectives"]] == list(OBJECTIVES)
    assert all(entry["loss"] and entry["error"] and entry["citation"] for entry in document["objectives"])
    said = {entry["name"]: learned(entry) for entry in document["datasets"]}
    assert said["digits"] == "10 classes" and said["xor"] == "2 classes"
    assert said["regression_1d"] == "1 number" and said["brightness_denoising"] == "images"
