"""Units that are blocked, layers that are dead, networks that are constant, and how often units change."""

from typing import Any

import numpy as np
import pytest
import torch

from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.models import build_model
from workers.probes import PackProbes, probe_series
from workers.probes.trajectory import transitions
from workers.training.batches import PackData, pack_data


def pack_of(*seeds: int, **probes: Any) -> tuple[list[TrialConfig], LaneModel, PackData]:
    """Small rectifier networks with a probe set of 128, of which means are taken of the first 16."""
    document = {
        "task": {"train_examples": 128},
        "training": {"batch_size": 16, "epochs": 5},
        "model": {"kind": "mlp", "depth": 3, "width": 8},
        "probes": {"averaged_examples": 16, "unit_states": {}, **probes},
    }
    configs = [TrialConfig.model_validate({**document, "seed": seed}) for seed in seeds]
    return configs, build_model(configs), pack_data(configs, lane_axis=0, device="cpu", data_root=None)


def measured(configs: list[TrialConfig], model: LaneModel, data: PackData) -> dict[str, list[float]]:
    values = PackProbes(configs=configs, model=model, data=data).measure(0)
    return dict(zip(probe_series(configs[0]), values.T.tolist(), strict=True))


def test_a_dead_layer_blocks_those_below_it_and_the_network_says_one_thing() -> None:
    configs, model, data = pack_of(0, 1)
    with torch.no_grad():
        model.params["layer_02.bias"][0] = -1e3
        model.params["classifier.weight"][1, 0] = 0.0  # one logit that is constant makes no constant network
    seen = measured(configs, model, data)
    assert [seen[f"layer_dead/layer_0{number}"][0] for number in (1, 2, 3)] == [0.0, 1.0, 1.0]
    assert seen["dead_layers"] == [2.0, 0.0] and seen["network_constant"] == [1.0, 0.0]
    alive = 1.0 - seen["dead_unit_rate/layer_01"][0]
    assert seen["blocked_rate/layer_01"] == [alive, 0.0], "alive, and no gradient comes through the dead layer"
    assert seen["blocked_rate/layer_02"] == [0.0, 0.0], "dead units are not blocked"
    assert seen["blocked_rate"][0] == pytest.approx(alive / 3)


def test_a_single_example_at_the_end_of_the_probe_set_shows_that_a_network_answers() -> None:
    """Pixels of one example alone reach the classifier; all others give its biases."""
    configs, model, data = pack_of(0, dead_units=None)
    with torch.no_grad():
        for name, tensor in model.params.items():
            tensor.fill_(1.0 if name.endswith("weight") else 0.0)
        model.params["classifier.bias"].copy_(torch.arange(10.0))
        data.inputs = torch.full_like(data.inputs, -1.0)
        data.scale.fill_(1.0)
        data.shift.fill_(0.0)
    assert measured(configs, model, data)["network_constant"] == [1.0]
    data.inputs[data.train[0, -1]] = 1.0
    assert measured(configs, model, data)["network_constant"] == [0.0]


def test_hazards_count_changes_among_chances() -> None:
    sequences = ["00110", "11111", "00000", "10101"]
    dead = torch.tensor([[int(flag) for flag in line] for line in sequences]).T.bool().unsqueeze(1)
    deaths, revivals = (
        [(int(a), int(b)) for a, b in zip(*(counts[0] for counts in pair), strict=True)]
        for pair in transitions(dead).values()
    )
    assert deaths == [(1, 2), (0, 0), (0, 4), (2, 2)]
    assert revivals == [(1, 2), (0, 4), (0, 0), (2, 2)]


def test_a_trials_hazards_are_of_all_its_units_and_intervals() -> None:
    configs, model, data = pack_of(0)
    probes = PackProbes(configs=configs, model=model, data=data)
    dead_first = [[0, 1], [0], [0, 1, 2]]
    for step, killed in zip((0, 10, 40), dead_first, strict=True):
        with torch.no_grad():
            model.params["layer_01.bias"][0] = 1e3
            model.params["layer_01.bias"][0, killed] = -1e3
        probes.measure(step)
    (fates,) = probes.of_whole_trials()
    assert fates["death_hazard/layer_01"] == pytest.approx(2 / (6 + 7))
    assert fates["revival_hazard/layer_01"] == pytest.approx(1 / 3)
    h, r = 2 / 13, 1 / 3
    assert fates["stationary_dead_rate/layer_01"] == pytest.approx(h / (h + r))
    quiet = PackProbes(configs=configs, model=model, data=data)
    with torch.no_grad():
        model.params["layer_01.bias"][0] = 1e3
    quiet.measure(0)
    quiet.measure(10)
    assert quiet.of_whole_trials()[0]["death_hazard/layer_01"] == 0.0
    assert np.isnan(quiet.of_whole_trials()[0]["revival_hazard/layer_01"]), "none was ever dead"
