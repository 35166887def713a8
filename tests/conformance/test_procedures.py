"""Initializations that train: against autoencoders and trials written by hand, alone, in company, and measured.

Legend: L lanes.
"""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from actinium.frame import LaneFinished, Outcome, TrialSummary
from actinium.levels.initializations import PROCEDURES as NAMES
from actinium.trial import TrialConfig
from workers.draws import step_stream
from workers.layers import Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.procedures import PROCEDURES, prepare
from workers.procedures.transfer import source_config
from workers.seeding import generator, pretraining_order_stream
from workers.training.batches import epoch_order, pack_data
from workers.training.train import Pack, train_pack

GREEDY = {"name": "greedy_autoencoder", "epochs": 2}
TRANSFER = {"name": "transfer", "source": "digits_0_4", "epochs": 2}


def config_of(initialization: object, *, seed: int = 0, **document: Any) -> TrialConfig:
    """A small trial."""
    usual: dict[str, Any] = {
        "task": {"train_examples": 96},
        "model": {"kind": "mlp", "depth": 3, "width": 8},
        "training": {"batch_size": 32, "epochs": 2, "learning_rate": 0.05},
        "probes": {"schedule": {"points": 3}},
    }
    return TrialConfig.model_validate({**usual, **document, "initialization": initialization, "seed": seed})


def transferred(initialization: object = TRANSFER, **document: Any) -> TrialConfig:
    """A trial on the digits 5 to 9 that comes from 0 to 4."""
    return config_of(initialization, **{"task": {"dataset": "digits_5_9"}, **document})


def pack_of(configs: list[TrialConfig]) -> Pack:
    """A pack before its first step."""
    return Pack(configs, device="cpu", data_root=None, clock=itertools.count().__next__)


def summaries(configs: list[TrialConfig]) -> list[TrialSummary]:
    """Of whole trials in one pack, in the order given."""
    ends = [event for event in train_pack(configs) if isinstance(event, LaneFinished)]
    return [end.summary for end in sorted(ends, key=lambda end: end.lane)]


def test_every_procedure_is_a_level_and_run() -> None:
    assert set(NAMES) == set(PROCEDURES)


# ---- greedy autoencoders ------------------------------------------------------------------------------------------


def by_hand(config: TrialConfig) -> tuple[dict[str, Tensor], list[float]]:
    """Tied autoencoders of one lane, one after the other, with torch.nn and torch.optim; and their last losses."""
    level = config.initialization
    start = {name: tensor[0].detach().clone() for name, tensor in build_model([config]).params.items()}
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    phi = {"sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "relu": nn.ReLU()}[config.activation.name]
    layers, losses = [], []
    for number in range(1, 4):
        name = f"layer_{number:02d}"
        layer = nn.Linear(*start[f"{name}.weight"].shape)
        layer.weight.data, layer.bias.data = start[f"{name}.weight"].T.contiguous(), start[f"{name}.bias"]
        back = nn.Parameter(torch.zeros(layer.in_features))
        optimizer = torch.optim.Adam([*layer.parameters(), back], lr=level.number("learning_rate"))
        step = 0
        for epoch in range(int(level.number("epochs"))):
            order = epoch_order(data, [config], epoch, stream=pretraining_order_stream)
            seen = []
            for batch in order.split(config.training.batch_size, dim=1):
                x = data.take(batch)[0][0].flatten(1)
                for below in layers:
                    x = phi(below(x)).detach()
                source = generator(config.seed, step_stream("corruption", name, step))
                kept = torch.rand(x.shape, generator=source) >= level.number("corruption")
                decoded = phi(layer(x * kept)) @ layer.weight + back
                decoded = phi(decoded) if number > 1 else decoded
                loss = (decoded - x).square().mean() / (x - x.mean(0)).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                seen.append(loss.item())
                step += 1
            last = sum(seen) / len(seen)
        losses.append(last)
        layers.append(layer)
        start |= {f"{name}.weight": layer.weight.detach().T, f"{name}.bias": layer.bias.detach()}
    return start, losses


@pytest.mark.parametrize("corruption", [0.0, 0.3])
def test_layers_are_those_of_autoencoders_written_by_hand(corruption: float) -> None:
    """Lanes of three activations and two rates in one pack, float32: weights, biases, losses, and no other lane."""
    configs = [
        config_of(GREEDY | {"corruption": corruption, "learning_rate": rate}, seed=seed, activation=phi)
        for seed, (phi, rate) in enumerate([("sigmoid", 0.003), ("tanh", 0.01), ("relu", 0.003)])
    ]
    configs += [config_of("he", activation="tanh"), config_of("xavier", activation="sigmoid")]
    configs = [configs[lane] for lane in lane_order(configs)]
    model, plain = build_model(configs), build_model(configs)
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    prepared = prepare(model, data, data_root=None, clock=lambda: 0.0)
    for lane, config in enumerate(configs):
        if config.initialization.name != "greedy_autoencoder":
            assert all(torch.equal(tensor[lane], plain.params[name][lane]) for name, tensor in model.params.items())
            assert prepared[lane].metrics == {} and prepared[lane].seconds == 0.0
            continue
        params, losses = by_hand(config)
        for name, tensor in params.items():
            torch.testing.assert_close(model.params[name][lane].detach(), tensor, rtol=1e-3, atol=1e-5)
        found = [prepared[lane].metrics[f"reconstruction_loss/layer_{number:02d}"] for number in (1, 2, 3)]
        assert found == pytest.approx(losses, rel=1e-4)


def test_a_linear_autoencoder_finds_the_principal_components() -> None:
    """Baldi & Hornik 1989: no k units do better than the first k components, and gradient descent gets there."""
    config = config_of(
        GREEDY | {"epochs": 300, "learning_rate": 0.003},
        activation="linear",
        task={},
        model={"kind": "mlp", "depth": 1, "width": 6},
        training={"batch_size": 1078, "epochs": 1},
    )
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    values = np.linalg.eigvalsh(np.cov(data.take(data.train)[0][0].flatten(1).numpy().T))
    missed = 1.0 - values[-6:].sum() / values.sum()
    (done,) = prepare(build_model([config]), data, data_root=None, clock=lambda: 0.0)
    assert missed * 0.999 < done.metrics["reconstruction_loss/layer_01"] < missed * 1.01


def test_normalized_lanes_and_learned_slopes_take_part() -> None:
    """What a layer learns is learned with it, also behind a normalization on either side; all stays finite."""
    levels = [("prelu", "none"), ("tanh", "batch"), ("relu", {"name": "batch", "position": "post"}), ("elu", "layer")]
    configs = [config_of(GREEDY, activation=phi, normalization=norm) for phi, norm in levels]
    ordered = [configs[lane] for lane in lane_order(configs)]
    prepared, drawn = pack_of(configs)._model, build_model(ordered)
    for lane, config in enumerate(ordered):
        for layer in prepared.hidden_names:
            moved = {what for what in ("weight", "gamma", "beta", "slope") if f"{layer}.{what}" in drawn.params}
            changed = {
                what
                for what in moved
                if not torch.equal(prepared.params[f"{layer}.{what}"][lane], drawn.params[f"{layer}.{what}"][lane])
            }
            expected = {"weight"} | ({"slope"} if config.activation.name == "prelu" else set())
            expected |= {"gamma", "beta"} if config.normalization.name != "none" else set()
            assert changed == expected, config.run_name()
    assert all(bool(tensor.isfinite().all()) for tensor in prepared.params.values())
    assert all(torch.equal(prepared.statistics[name], drawn.statistics[name]) for name in drawn.statistics)


def test_a_deep_autoencoders_layers_are_pretrained_too() -> None:
    """As in Hinton & Salakhutdinov 2006: seven sigmoid layers give back what they do not from Xavier's start."""
    document = {
        "task": {},
        "activation": "sigmoid",
        "model": {"kind": "autoencoder", "depth": 3, "width": 32, "bottleneck": 8},
        "training": {"epochs": 10, "learning_rate": 0.1},
    }
    greedy = GREEDY | {"epochs": 10, "learning_rate": 0.01}
    plain, pretrained = summaries([config_of(start, **document) for start in ("xavier", greedy)])
    assert pretrained.metrics["test_error"] < 0.8 < 0.99 < plain.metrics["test_error"]


@pytest.mark.slow
def test_deep_sigmoid_networks_learn_after_pretraining_and_not_before() -> None:
    """Ten layers (SCIENCE B, pretrain): Xavier's start and a small one stay at chance, pretrained ones come far."""
    document = {
        "task": {},
        "activation": "sigmoid",
        "model": {"kind": "mlp", "depth": 10, "width": 32},
        "training": {"epochs": 15, "learning_rate": 0.1},
    }
    starts = ["xavier", "small", {"name": "greedy_autoencoder", "epochs": 15, "learning_rate": 0.01}]
    ends = summaries([config_of(start, **document) for start in starts])
    assert [end.outcome for end in ends] == [Outcome.STALLED, Outcome.STALLED, Outcome.LEARNED]
    assert ends[2].metrics["test_error"] < 0.2 < 0.8 < ends[0].metrics["test_error"]
    assert 0.0 < ends[2].metrics["pretraining_seconds"] < ends[2].seconds
    assert ends[0].seconds < ends[2].seconds


# ---- transfer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [{"kind": "mlp", "depth": 2, "width": 8}, {"kind": "cnn", "width": 4}])
def test_the_source_is_the_trial_that_the_source_alone_would_be(model: dict[str, Any]) -> None:
    """Bit for bit, alone; hidden layers and running statistics are taken over, the classifier starts anew."""
    config = transferred(TRANSFER | {"learning_rate": 0.1}, model=model, normalization="batch")
    source = source_config(config)
    assert source.task.dataset == "digits_0_4" and source.training.learning_rate == 0.1
    there = pack_of([source])
    (end,) = [event for event in there.run() if isinstance(event, LaneFinished)]
    here = pack_of([config])
    for name, tensor in there._model.params.items():
        same = torch.equal(tensor, here._model.params[name])
        assert same != name.startswith("classifier."), name
    for name, tensor in there._model.statistics.items():
        assert torch.equal(tensor, here._model.statistics[name]), name
    drawn = build_model([config]).params["classifier.weight"]
    assert torch.equal(drawn, here._model.params["classifier.weight"])
    (summary,) = summaries([config])
    assert summary.metrics["source_test_error"] == end.summary.metrics["test_error"]
    assert 0.0 < summary.metrics["pretraining_seconds"] < summary.seconds


def test_a_classifier_can_be_kept() -> None:
    config = transferred(TRANSFER | {"classifier": "keep"})
    there = pack_of([source_config(config)])
    list(there.run())
    assert torch.equal(there._model.params["classifier.weight"], pack_of([config])._model.params["classifier.weight"])


@pytest.mark.parametrize("training", [{"weight_decay": 0.01}, {"optimizer": "adamw", "weight_decay": 0.1, "l1": 0.01}])
def test_frozen_features_do_not_move_and_others_do(training: dict[str, Any]) -> None:
    """Decay and momentum or not; also when a lane before them leaves."""
    usual = {"batch_size": 32, "epochs": 2, "learning_rate": 0.05, "gradient_clip": 1.0, **training}
    frozen = TRANSFER | {"freeze": "features"}
    configs = [
        transferred("he", activation="relu", training=usual | {"early_stopping": {"patience": 1, "min_delta": 1e5}}),
        transferred(frozen, activation="sigmoid", training=usual),
        transferred(TRANSFER, activation="sigmoid", training=usual),
        transferred(frozen, activation="tanh", training=usual),
    ]
    pack = pack_of(configs)
    ordered = list(pack._model.configs)
    before = {name: tensor.detach().clone() for name, tensor in pack._model.params.items()}
    list(pack.run())
    left = list(pack._model.configs)
    assert len(left) == 3 < len(ordered)
    for lane, config in enumerate(left):
        still = config.initialization.parameters["freeze"] == "features"
        for name, tensor in pack._model.params.items():
            same = torch.equal(tensor[lane], before[name][ordered.index(config)])
            assert same == (still and not name.startswith("classifier.")), (config.run_name(), name)


def test_gradients_of_what_is_frozen_count_for_no_norm() -> None:
    """With everything frozen but the classifier, clipping is that of the classifier's gradient alone: by hand."""
    training = {"batch_size": 64, "epochs": 1, "learning_rate": 1.0, "momentum": 0.0, "gradient_clip": 0.01}
    config = transferred(TRANSFER | {"freeze": "features"}, training=training)
    pack = pack_of([config])
    model, data = pack._model, pack._data
    inputs, labels = data.take(epoch_order(data, [config], 0)[:, :64])
    before = model.params["classifier.weight"].detach().clone(), model.params["classifier.bias"].detach().clone()
    logits = model.forward(model.params, inputs, Pass.measuring())
    loss = nn.functional.cross_entropy(logits[0], labels[0])
    gradients = torch.autograd.grad(loss, [model.params["classifier.weight"], model.params["classifier.bias"]])
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    pack._steps.train_to(1)
    for was, gradient, name in zip(before, gradients, ("weight", "bias"), strict=True):
        torch.testing.assert_close(model.params[f"classifier.{name}"].detach(), was - 0.01 * gradient / norm)


def test_steps_of_frozen_lanes_are_the_same_where_they_are_recorded() -> None:
    """As functions of static tensors (`workers.training.captured`)."""
    configs = [transferred(TRANSFER | {"freeze": "features"}), transferred("he")]
    plain, captured = (
        [e.summary.metrics for e in train_pack(configs, captured=captured) if isinstance(e, LaneFinished)]
        for captured in (False, True)
    )
    for metric in ("train_loss", "validation_loss", "test_error"):
        assert [one[metric] for one in plain] == [one[metric] for one in captured]


def test_transfer_helps_where_there_are_few_examples() -> None:
    """0 to 4, then 5 to 9 with 40 examples: better than the same network from nothing, over three seeds."""
    document = {
        "task": {"dataset": "digits_5_9", "train_examples": 40},
        "model": {"kind": "cnn", "width": 8},
        "training": {"batch_size": 20, "epochs": 10, "learning_rate": 0.02},
    }
    starts: list[object] = ["he", TRANSFER | {"epochs": 10}]
    configs = [config_of(start, seed=seed, **document) for start in starts for seed in range(3)]
    errors = [end.metrics["test_error"] for end in summaries(configs)]
    assert sum(errors[3:]) < sum(errors[:3])


# ---- company, time, refusals --------------------------------------------------------------------------------------


def test_lanes_are_the_same_alone_and_in_company() -> None:
    """Procedures of unequal lengths and sources, and none, in one pack; a source that diverges stays in its lane."""
    starts: list[object] = [
        GREEDY,
        "he",
        GREEDY | {"epochs": 1, "corruption": 0.2},
        TRANSFER,
        TRANSFER | {"source": "digits", "epochs": 1},
        TRANSFER | {"learning_rate": 1e6},
    ]
    task = {"dataset": "digits_5_9", "train_examples": 96}
    configs = [config_of(start, seed=number % 2, task=task) for number, start in enumerate(starts)]
    together = summaries(configs)
    for config, end in zip(configs, together, strict=True):
        (alone,) = summaries([config])
        assert alone.outcome == end.outcome
        for metric in ("train_loss", "validation_loss", "test_loss", "source_test_error"):
            mine, theirs = (one.metrics.get(metric, math.nan) for one in (alone, end))
            assert mine == pytest.approx(theirs, rel=1e-4, nan_ok=True), config.run_name()
    assert [end.outcome is Outcome.DIVERGED for end in together] == [False] * 5 + [True]


def test_time_is_charged_to_the_lanes_that_took_it() -> None:
    """By a clock that counts its readings: each group of lanes shares what passed while it was prepared."""
    pack = pack_of([config_of(GREEDY), config_of("he"), config_of(GREEDY, seed=1), config_of(GREEDY | {"epochs": 1})])
    assert [record.seconds for record in pack._records] == [0.5, 0.0, 0.5, 1.0]
    assert pack._records[2].prepared["pretraining_seconds"] == 0.5


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (config_of(GREEDY, model={"kind": "cnn"}), "the model is a cnn"),
        (config_of(GREEDY, model={"kind": "mlp", "residual": True}), "hands its input on"),
        (config_of(TRANSFER | {"source": "xor"}), "are (2, 1, 1), those of digits (1, 8, 8)"),
        (config_of(TRANSFER | {"classifier": "keep"}), "give classifier reset"),
        (
            config_of(TRANSFER, training={"batch_size": 600}, task={"dataset": "digits"}),
            "a batch of 600 is more than the 541 training examples of digits_0_4",
        ),
        (
            config_of(TRANSFER | {"source": "contrast_level"}, task={"scaling": "unit"}, training={"batch_size": 8}),
            "have no fixed range",
        ),
    ],
    ids=lambda value: None if isinstance(value, TrialConfig) else value[:20],
)
def test_what_cannot_be_run_is_an_invalid_design_with_the_reason(config: TrialConfig, reason: str) -> None:
    assert reason in str(config.invalid_design())
    assert config_of(GREEDY).invalid_design() is transferred().invalid_design() is None
