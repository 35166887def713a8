"""The adding task: its sequences, how longer ones are tested, and that a network learns it; gradients through time."""

import math

import numpy as np
import pytest
import torch

from actinium.frame import LaneFinished, PackFrames
from actinium.levels import Activation, Initialization, Normalization
from actinium.study import expand, parse_study
from actinium.trial import Lstm, Mlp, Probes, Rnn, Schedule, Shift, Task, Training, TrialConfig
from workers.datasets import load_task
from workers.models import build_model
from workers.probes import PackProbes, probe_series
from workers.probes.gradient_flow import gradient_rms, preactivation_gradients
from workers.probes.gradient_time import time_rms, time_values
from workers.training.batches import pack_data
from workers.training.train import pack_layout, train_pack

LONGER = {"examples": 200, "length": 10, "test_length": 24}


def task_of(**parameters: object) -> Task:
    return Task(dataset="adding_task", scaling="none", parameters=parameters)


def test_sequences_have_two_marked_values_whose_sum_is_wanted() -> None:
    """At both lengths, one mark in each half; the same values are marked, and the others are not the same."""
    arrays = load_task(task_of(**LONGER), seed=3)
    assert arrays.inputs.shape == (200, 2, 10, 1) and arrays.test_inputs is not None and arrays.targets is not None
    assert arrays.test_inputs.shape == (200, 2, 24, 1) and arrays.targets.shape == (200, 1)
    for inputs in (arrays.inputs, arrays.test_inputs):
        values, markers = inputs[..., 0].unbind(1)
        half = values.shape[1] // 2
        assert torch.equal(markers.sum(1), torch.full((200,), 2.0))
        assert torch.equal(markers[:, :half].sum(1), torch.ones(200))
        assert (values >= 0).all() and (values < 1).all()
        torch.testing.assert_close((values * markers).sum(1, keepdim=True), arrays.targets)
        where = markers[:, :half].argmax(1).bincount(minlength=half) / 200
        assert (where > 0).all() and where.max() < 2.5 / half
    assert load_task(task_of(examples=200, length=10), seed=3).test_inputs is None
    other = load_task(task_of(**LONGER), seed=4)
    assert not torch.equal(other.inputs, arrays.inputs)
    many = load_task(task_of(examples=20_000), seed=0).targets
    assert many is not None and float(many.var(correction=0)) == pytest.approx(1 / 6, rel=0.02)


def test_only_test_examples_are_longer() -> None:
    """Two seeds in a pack, each with its own sequences; a shift moves the longer ones."""
    configs = [TrialConfig(task=task_of(**LONGER), model=Rnn(width=4), seed=seed) for seed in (0, 1)]
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    tested = data.tested()
    assert data.take(data.train)[0].shape[2:] == (2, 10, 1) and data.take(data.validation)[0].shape[2:] == (2, 10, 1)
    inputs, targets = tested.take(tested.test)
    assert inputs.shape == (2, 40, 2, 24, 1) and torch.equal(targets, data.take(data.test)[1])
    marked = (inputs[:, :, 0] * inputs[:, :, 1]).sum((2, 3))
    torch.testing.assert_close(marked, targets[..., 0])
    shift = Shift(scale=2.0, offset=0.0)
    moved = [c.model_copy(update={"task": c.task.model_copy(update={"shift": shift})}) for c in configs]
    shifted = pack_data(moved, lane_axis=0, device="cpu", data_root=None).tested()
    torch.testing.assert_close(shifted.take(shifted.test)[0], 2.0 * inputs)


@pytest.mark.parametrize(
    ("model", "fields", "reason"),
    [
        (Mlp(), LONGER, "24 time steps"),
        (Mlp(), {"length": 10, "test_length": 10}, None),
        (Lstm(), LONGER, None),
    ],
)
def test_only_recurrent_networks_read_any_length(model: Mlp | Lstm, fields: dict[str, int], reason: str | None) -> None:
    invalid = TrialConfig(task=task_of(**fields), model=model).invalid_design()
    assert (invalid is None) if reason is None else (invalid is not None and reason in invalid)


@pytest.mark.parametrize("fields", [{"scaling": "zca"}, {"stretch": 2.0}])
def test_inputs_are_not_mixed_where_their_number_differs(fields: dict[str, object]) -> None:
    task = Task(dataset="adding_task", parameters=LONGER, **fields)
    invalid = TrialConfig(task=task, model=Lstm()).invalid_design()
    assert invalid is not None and "length" in invalid


@pytest.mark.slow
def test_an_lstm_learns_to_add_and_is_tested_on_longer_sequences() -> None:
    """At its own length most test sequences are solved; the same network is tested on others where they are longer."""
    document = {
        "name": "adding",
        "task": {"dataset": "adding_task", "scaling": "none", "parameters": {"examples": 4000, "length": 8}},
        "model": {"kind": "lstm", "width": 12},
        "training": {
            "optimizer": "adam", "learning_rate": 0.03, "batch_size": 32, "epochs": 8, "gradient_clip": 1.0,
        },
        "factors": {"activation": ["tanh"], "normalization": ["none"], "initialization": ["xavier"]},
        "probes": {"schedule": {"points": 4}},
        "seeds": [1],
    }  # fmt: skip
    plain = [config for _, config in expand(parse_study(document)).trials()]
    document["task"]["parameters"]["test_length"] = 16  # type: ignore[index]
    longer = [config for _, config in expand(parse_study(document)).trials()]
    solved, other = (
        next(event for event in train_pack(configs) if isinstance(event, LaneFinished)).summary
        for configs in (plain, longer)
    )
    assert solved.metrics["validation_loss"] < 0.002 and solved.metrics["test_error"] < 0.3
    assert other.metrics["validation_loss"] == solved.metrics["validation_loss"]
    assert other.metrics["test_error"] > solved.metrics["test_error"]
    assert math.isfinite(other.metrics["gradient_time_slope"])


def test_normalized_networks_are_tested_on_longer_sequences() -> None:
    """Statistics of steps behind the last are those of the last; the gap and precise statistics are measured too."""
    configs = [
        TrialConfig(
            task=task_of(**LONGER),
            model=Rnn(width=4),
            training=Training(batch_size=32, epochs=1, learning_rate=0.01),
            activation=Activation.of("tanh"),
            normalization=Normalization.of(level),
            probes=Probes(schedule=Schedule(points=2)),
        )
        for level in ("none", "batch", "layer")
    ]
    events = list(train_pack(configs))
    summaries = {event.lane: event.summary for event in events if isinstance(event, LaneFinished)}
    assert all(math.isfinite(summaries[lane].metrics["test_loss"]) for lane in range(3))
    assert "precise_test_error" in summaries[1].metrics
    (first, *_) = [event for event in events if isinstance(event, PackFrames)]
    slope = pack_layout(configs[0]).position("gradient_time_slope")
    assert np.isfinite(first.values[:, slope]).all()


def test_the_slope_through_time_is_the_logarithm_of_the_factor() -> None:
    """A linear network with orthogonal W_h times w: every step back multiplies gradients with w."""
    config = TrialConfig(
        task=task_of(examples=100, length=12),
        model=Rnn(width=6),
        activation=Activation.of("linear"),
        initialization=Initialization.of({"name": "orthogonal", "gain": 0.7}),
        training=Training(batch_size=16),
    )
    pack = build_model([config])
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    values = dict(
        zip(probe_series(config), PackProbes(configs=[config], model=pack, data=data).measure(0)[0], strict=True)
    )
    assert values["gradient_time_slope"] == pytest.approx(math.log(0.7), rel=1e-4)
    assert values["gradient_time_slope/layer_01"] == values["gradient_time_slope"]
    ratio = values["gradient_rms_first/layer_01"] / values["gradient_rms_last/layer_01"]
    assert ratio == pytest.approx(0.7**11, rel=1e-4)
    assert data.train.shape[1] == 60
    laid_out = torch.cat([data.train, data.train[:, :4]], 1)  # whole batches of 16
    inputs, targets = data.take(laid_out)
    rms = gradient_rms(preactivation_gradients(pack, inputs, targets, data.functions().loss), 0)
    assert float(rms) == pytest.approx(values["gradient_rms/layer_01"], rel=1e-5)
    gradients = [torch.arange(24.0).view(1, 6, 4)]
    by_step = time_rms(gradients, 3)
    assert by_step.shape == (1, 1, 3)
    assert float(by_step[0, 0, 2]) == pytest.approx(math.sqrt(sum(n * n for n in range(16, 24)) / 8))
    assert math.isnan(float(time_values(torch.zeros(1, 1, 3))["gradient_time_slope"]))


def test_the_series_through_time_are_of_recurrent_networks_alone() -> None:
    assert not any("time" in name for name in probe_series(TrialConfig()))
    assert "gradient_rms_last/layer_02" in probe_series(TrialConfig(model=Lstm(depth=2)))
