"""Drift and internal covariate shift against plain networks of single lanes, and against what training really does."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from probe_lanes import BATCH, PlainLane, mixed_pack
from torch import Tensor
from torch.nn import functional

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.layers import LaneModel, Parameters, Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.probes import PackProbes, probe_series, probed_pack
from workers.probes.covariate_shift import gradients, layer_of
from workers.training.batches import PackData, pack_data
from workers.training.steps import Steps

OFF = {"dead_units": {"examples": 50}, "gradient_flow": None, "activation_statistics": None}
MLP = {"kind": "mlp", "depth": 3, "width": 12}
CNN = {"kind": "cnn", "width": 4}
RATE, EXAMPLES = 0.3, 2 * BATCH
"""Asked for are a few less: they come in whole batches."""


def inputs_of(data: PackData, lane: int) -> tuple[Tensor, Tensor]:
    """The lane's first examples, float64."""
    index = data.train[lane, :EXAMPLES]
    return (data.inputs[index] * data.scale[lane] + data.shift[lane]).double(), data.labels[index]


def moved_noise(model: LaneModel, size: float) -> None:
    """Parameters anywhere near where they were."""
    random = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, tensor in model.params.items():
            if not name.endswith(".bias"):  # biases that a normalization cancels stay zero
                tensor.add_(size * torch.randn(tensor.shape, generator=random, dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 2**19], ids=["one by one", "all at once"])
@pytest.mark.parametrize("model", [MLP, CNN], ids=["mlp", "cnn"])
def test_drift_is_that_of_each_units_moments(
    model: dict[str, Any], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(probed_pack.ELEMENTS_AT_ONCE, "cpu", at_once)
    probes = {**OFF, "input_drift": {"examples": EXAMPLES - 7, "points": 10_000}}
    networks, data = mixed_pack(model, ["none", "batch", {"name": "batch", "position": "post"}], torch.float64, probes)
    measure = PackProbes(configs=networks.configs, model=networks, data=data)
    lanes = range(len(networks.configs))
    first, *_, last = networks.configs[0].probe_steps()
    before = [PlainLane(networks, lane) for lane in lanes]
    start = measure.measure(first)
    moved_noise(networks, 0.4)
    after = [PlainLane(networks, lane) for lane in lanes]
    end = measure.measure(last)
    series = probe_series(networks.configs[0])
    places = {name: place for place, name in enumerate(series) if name.startswith("input_")}
    assert np.all(start[:, list(places.values())] == 0.0), "nothing has moved yet"
    for lane in lanes:
        x, _ = inputs_of(data, lane)
        before[lane].as_trained(x)
        after[lane].as_trained(x)
        means: list[float] = []
        spreads: list[float] = []
        for number, (old, new) in enumerate(zip(before[lane].z, after[lane].z, strict=True), start=1):
            units = [(old[:, u].detach().numpy(), new[:, u].detach().numpy()) for u in range(old.shape[1])]
            mean = [abs(b.mean() - a.mean()) / a.std() for a, b in units]
            spread = [abs(math.log(b.std() / a.std())) for a, b in units]
            for name, found in (("input_mean_drift", mean), ("input_std_drift", spread)):
                value = end[lane, places[layer_series(name, number)]]
                assert value == pytest.approx(np.mean(found), rel=1e-5, abs=1e-6), name
            means += mean
            spreads += spread
        assert end[lane, places["input_mean_drift"]] == pytest.approx(np.mean(means), rel=1e-5)
        assert end[lane, places["input_std_drift"]] == pytest.approx(np.mean(spreads), rel=1e-5)


def test_units_that_were_constant_have_no_drift_and_lanes_that_leave_take_theirs_along() -> None:
    probes = {**OFF, "input_drift": {"points": 10_000}}
    configs = [
        TrialConfig.model_validate({"task": {"train_examples": 64}, "model": MLP, "seed": seed, "probes": probes})
        for seed in (0, 1, 2)
    ]
    model = build_model(configs)
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    with torch.no_grad():
        model.params["layer_01.weight"][2, :, 0] = 0.0
    measure = PackProbes(configs=configs, model=model, data=data)
    measure.measure(0)
    with torch.no_grad():
        model.params["layer_01.weight"][2, :, 0] = 5.0
        model.params["layer_01.weight"][2, :, 1:] *= 3.0
    for part in (model, data):
        part.keep([1, 2])
    measure.keep([1, 2])
    seen = dict(zip(probe_series(configs[0]), measure.measure(1).T.tolist(), strict=True))
    assert seen["input_std_drift/layer_01"] == pytest.approx([0.0, math.log(3.0)], rel=1e-5)


def descended(params: Parameters, found: Mapping[str, Tensor]) -> Parameters:
    """Plain gradient descent."""
    return {name: tensor.detach() - RATE * found[name] for name, tensor in params.items()}


def loss_gradient(lane: PlainLane, layer: str, x: Tensor, labels: Tensor) -> Tensor:
    """Of one layer's weights, with the lane's tensors as they are."""
    lane.tensors = {name: {part: t.detach().clone() for part, t in own.items()} for name, own in lane.tensors.items()}
    weight = lane.tensors[layer]["weight"].requires_grad_()
    functional.cross_entropy(lane.as_trained(x), labels).backward()
    assert weight.grad is not None
    return weight.grad.flatten()


@pytest.mark.parametrize("at_once", [1, 2**19], ids=["one by one", "all at once"])
@pytest.mark.parametrize("model", [MLP, {**MLP, "residual": True}, CNN], ids=["mlp", "residual", "cnn"])
def test_covariate_shift_is_that_of_its_definition(
    model: dict[str, Any], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(probed_pack.ELEMENTS_AT_ONCE, "cpu", at_once)
    probes = {**OFF, "covariate_shift": {"examples": EXAMPLES - 7}}
    networks, data = mixed_pack(model, ["none", "batch"], torch.float64, probes)
    moved: list[Parameters] = []

    def stepped(params: Parameters, found: Mapping[str, Tensor]) -> Parameters:
        moved.append(descended(params, found))
        return moved[-1]

    measure = PackProbes(configs=networks.configs, model=networks, data=data, stepped=stepped)
    seen = dict(zip(probe_series(networks.configs[0]), measure.measure(0).T, strict=True))
    assert len(moved) == 1
    for lane, config in enumerate(networks.configs):
        x, labels = inputs_of(data, lane)
        old, mixed = PlainLane(networks, lane), PlainLane(networks, lane)
        relative = []
        for number, layer in enumerate(networks.hidden_names, start=1):
            g, h = (loss_gradient(side, layer, x, labels) for side in (old, mixed))
            wanted = [(g - h).norm(), (g - h).norm() / g.norm(), functional.cosine_similarity(g, h, dim=0, eps=0.0)]
            for name, value in zip(("ics", "ics_relative", "ics_cosine"), wanted, strict=True):
                message = f"{layer_series(name, number)} of {config.run_name()}"
                found = seen[layer_series(name, number)][lane]
                np.testing.assert_allclose(found, value.item(), rtol=1e-5, atol=1e-6, err_msg=message)
            relative.append(wanted[1].item())
            for name, tensor in moved[0].items():  # this layer takes its step, for those above it
                if name.startswith(layer):
                    mixed.tensors[layer][name.split(".")[1]] = tensor[lane].detach().clone()
        assert relative[0] == 0.0
        if len(relative) > 2 and min(relative[1:]) > 1e-6:
            slope = float(np.polyfit(range(len(relative) - 1), np.log(relative[1:]), 1)[0])
            assert seen["ics_slope"][lane] == pytest.approx(slope, rel=1e-4)


@pytest.mark.parametrize(
    "training",
    [
        {"momentum": 0.9, "weight_decay": 1e-3, "gradient_clip": 0.5},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    ],
)
def test_the_step_is_the_one_that_training_takes_and_takes_nothing_from_it(training: dict[str, Any]) -> None:
    unordered = [
        TrialConfig.model_validate(
            {
                "task": {"train_examples": 64},
                "training": {"batch_size": 64, "epochs": 6, **training},
                "model": MLP,
                "normalization": normalization,
                "seed": seed,
            }
        )
        for normalization in ("none", "batch")
        for seed in (0, 1)
    ]
    configs = [unordered[lane] for lane in lane_order(unordered)]
    model = build_model(configs)
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    steps = Steps(model, data)
    steps.train_to(3)
    before = {name: tensor.detach().clone() for name, tensor in model.params.items()}
    inputs, labels = data.take(data.train)  # the whole batch: its order changes sums by rounding alone

    def loss(params: Parameters) -> Tensor:
        logits = model.forward(params, inputs, Pass.measuring())
        return functional.cross_entropy(logits.mT, labels, reduction="none").mean(1).sum()

    found = gradients(loss, model.params, list(model.params))
    kept = {name: tensor.clone() for name, tensor in found.items()}
    foreseen = [steps.stepped(model.params, found) for _ in range(2)]
    assert all(torch.equal(model.params[name], tensor) for name, tensor in before.items())
    assert all(torch.equal(found[name], tensor) for name, tensor in kept.items())
    steps.train_to(4)
    for name, tensor in model.params.items():
        torch.testing.assert_close(foreseen[0][name], tensor.detach(), rtol=1e-4, atol=2e-5)
        assert torch.equal(foreseen[0][name], foreseen[1][name])
    moves = [(tensor - before[name]).abs().max() for name, tensor in model.params.items()]
    assert max(moves) > 1e-2


def test_a_parameter_belongs_to_its_layer_and_a_projection_to_the_end_of_its_block() -> None:
    config = TrialConfig.model_validate({"task": {"dataset": "cifar10"}, "model": {"kind": "resnet50", "width": 4}})
    assert layer_of(config, "layer_07.gamma") == 7 and layer_of(config, "recurrent_02.weight") == 2
    assert layer_of(config, "classifier.bias") == math.inf
    assert layer_of(config, "projection_01.weight") == 4, "stem, then three layers of the first block"
