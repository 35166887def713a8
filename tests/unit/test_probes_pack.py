"""A pack's probes as a whole: names, purity, lanes that leave, lanes that are NaN, the steps of the effective rank."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from actinium.frame import LaneFinished, PackFrames
from actinium.trial import TrialConfig
from workers.layers import LaneModel, Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.probes import PackProbes, probe_series
from workers.probes.families import FAMILIES
from workers.probes.schedule import probe_examples, rank_steps
from workers.training.batches import PackData, pack_data
from workers.training.evaluation import with_precise_statistics
from workers.training.steps import Steps
from workers.training.train import pack_layout, train_pack

OFF = {"dead_units": None, "gradient_flow": None, "activation_statistics": None}
EXTRA: dict[str, Any] = {name: {} for name, family in FAMILIES.items() if name not in OFF and not family.artifacts} | {
    "distributions": {"of": "both"}
}
PHI = ("relu", "tanh")
MAYBE = ("learned_slope", "off_rate", "input_", "ics", "lifetime", "population")
"""Need not be finite where they are due."""


def config_of(**document: Any) -> TrialConfig:
    """A small trial on digits."""
    small = {
        "task": {"train_examples": 128},
        "training": {"batch_size": 16, "epochs": 5},
        "model": {"kind": "mlp", "depth": 2, "width": 8},
    }
    return TrialConfig.model_validate({**small, **document})


def pack_of(configs: list[TrialConfig]) -> tuple[list[TrialConfig], LaneModel, PackData]:
    """The lanes in the model's order, their networks and their data."""
    ordered = [configs[lane] for lane in lane_order(configs)]
    model = build_model(ordered)
    return ordered, model, pack_data(ordered, lane_axis=model.lane_axis, device="cpu", data_root=None)


MIXED = [
    config_of(activation=activation, normalization=normalization, seed=seed)
    for activation in ("relu", "tanh", "prelu")
    for normalization in ("none", "batch", "layer")
    for seed in (0, 1)
]


def test_the_names_are_those_that_reports_and_dashboards_know() -> None:
    assert probe_series(config_of()) == (
        "dead_unit_rate",
        "off_rate",
        "saturated_rate",
        "dormant_rate_0.025",
        "activation_rate",
        "effective_rank",
        "gradient_slope",
        "dead_unit_rate/layer_01",
        "dead_unit_rate/layer_02",
        "off_rate/layer_01",
        "off_rate/layer_02",
        "saturated_rate/layer_01",
        "saturated_rate/layer_02",
        "activation_rate/layer_01",
        "activation_rate/layer_02",
        "activation_mean/layer_01",
        "activation_mean/layer_02",
        "activation_std/layer_01",
        "activation_std/layer_02",
        "effective_rank/layer_01",
        "effective_rank/layer_02",
        "gradient_rms/layer_01",
        "gradient_rms/layer_02",
    )


@pytest.mark.parametrize("probe", [None, *OFF])
def test_a_probe_that_is_off_leaves_no_series_and_the_others_as_they_are(probe: str | None) -> None:
    alone = OFF if probe is None else {**OFF, probe: {}}
    ordered, model, data = pack_of([config_of(seed=seed, probes=alone) for seed in (0, 1)])
    probes = PackProbes(configs=ordered, model=model, data=data)
    values = probes.measure(0)
    every = PackProbes(configs=[config_of()], model=model, data=data)
    assert values.shape == (2, len(probe_series(ordered[0]))) and values.dtype == np.float32
    full = dict(zip(probe_series(config_of()), every.measure(0).T, strict=True))
    for name, column in zip(probe_series(ordered[0]), values.T, strict=True):
        np.testing.assert_array_equal(column, full[name])
    assert all(bool(fates) == (probe == "dead_units") for fates in probes.of_whole_trials())


@pytest.mark.parametrize("model", [{"kind": "mlp", "depth": 3, "width": 8}, {"kind": "cnn", "width": 4}])
def test_measuring_changes_nothing_and_draws_nothing(model: dict[str, Any]) -> None:
    ordered, networks, data = pack_of(
        [config.model_copy(update={"model": config_of(model=model).model}) for config in MIXED]
    )
    before = {name: tensor.detach().clone() for name, tensor in {**networks.params, **networks.statistics}.items()}
    versions = {name: tensor._version for name, tensor in {**networks.params, **networks.statistics}.items()}
    tensors = {name: getattr(data, name) for name in ("inputs", "labels", "train", "scale", "shift")}
    data_before = {name: tensor.clone() for name, tensor in tensors.items()}
    random = torch.get_rng_state()
    first = PackProbes(configs=ordered, model=networks, data=data).measure(0)
    again = PackProbes(configs=ordered, model=networks, data=data).measure(0)
    np.testing.assert_array_equal(first, again)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()
    for name, tensor in {**networks.params, **networks.statistics}.items():
        assert torch.equal(tensor, before[name]) and tensor._version == versions[name], name
        assert tensor.grad is None
    for name, tensor in tensors.items():
        assert torch.equal(tensor, data_before[name]), name
    assert all(tensor.requires_grad for tensor in networks.params.values())


@pytest.mark.slow
@pytest.mark.parametrize("model", [{"kind": "mlp", "depth": 3, "width": 8}, {"kind": "cnn", "width": 4}])
def test_losses_are_the_same_to_the_bit_with_probes_and_without(model: dict[str, Any]) -> None:
    post = {"name": "batch", "position": "post"}
    levels = [("none", "relu"), ("batch", "prelu"), (post, "elu"), ("group", "tanh")]
    runs = []
    for probes in ({**EXTRA, "filters": {}}, OFF):
        configs = [
            config_of(model=model, normalization=normalization, activation=activation, seed=seed, probes=probes)
            for seed, (normalization, activation) in enumerate(levels)
        ]
        layout = pack_layout(configs[0])
        places = [layout.series.index(name) for name in ("train_loss", "validation_loss", "validation_accuracy")]
        events = list(train_pack(configs))
        losses = [event.values[:, places] for event in events if isinstance(event, PackFrames)]
        ends = [event.summary.metrics for event in events if isinstance(event, LaneFinished)]
        runs.append((np.stack(losses), [(end["test_loss"], end["test_error"]) for end in ends]))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


def test_the_probe_set_is_the_first_training_examples_whatever_the_arm() -> None:
    assert probe_examples(config_of()) == 128
    assert probe_examples(config_of(probes={"dead_units": {"examples": 40}})) == 40
    assert probe_examples(TrialConfig()) == 1079
    assert probe_examples(TrialConfig.model_validate({"task": {"dataset": "mnist"}})) == 2048
    configs = [config_of(seed=0, activation=name, probes={"dead_units": {"examples": 40}}) for name in ("relu", "tanh")]
    ordered, model, data = pack_of(configs)
    seen = PackProbes(configs=ordered, model=model, data=data).measure(0)
    data.train[:, 40:] = data.train[:, 40:].flip(1)
    np.testing.assert_array_equal(PackProbes(configs=ordered, model=model, data=data).measure(0), seen)
    assert torch.equal(data.train[0], data.train[1])


def test_a_lane_is_measured_the_same_alone_and_in_company() -> None:
    ordered, model, data = pack_of(MIXED)
    together = PackProbes(configs=ordered, model=model, data=data).measure(0)
    for lane, config in enumerate(ordered):
        alone = PackProbes(configs=[config], model=model.narrow(lane, 1), data=data.narrow(lane, 1)).measure(0)
        np.testing.assert_allclose(alone[0], together[lane], rtol=1e-4, atol=1e-6, err_msg=config.run_name())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_lane_that_is_not_finite_has_no_values_and_disturbs_nobody(bad: float) -> None:
    ordered, model, data = pack_of(MIXED)
    clean = PackProbes(configs=ordered, model=model, data=data).measure(0)
    sick = next(lane for lane, config in enumerate(ordered) if config.normalization.name == "batch")
    with torch.no_grad():
        model.params["layer_01.weight"][sick] = bad
    probes = PackProbes(configs=ordered, model=model, data=data)
    values = probes.measure(0)
    assert np.isnan(values[sick]).all()
    other = probes.by_other_statistics(model, with_precise_statistics(model, data))
    of_batches = [config.normalization.name == "batch" for config in ordered]
    for rates in other.values():
        assert torch.isfinite(rates).tolist() == [has and lane != sick for lane, has in enumerate(of_batches)]
    others = [lane for lane in range(len(ordered)) if lane != sick]
    np.testing.assert_array_equal(values[others], clean[others])
    assert probes.of_whole_trials()[sick]["born_dead_rate"] == 0.0


def test_lanes_that_stay_keep_their_own_past_when_others_leave() -> None:
    kept = [1, 4, 5, 17]
    past = []
    for leave in (True, False):
        ordered, model, data = pack_of(MIXED)
        probes = PackProbes(configs=ordered, model=model, data=data)
        begin, *rest = ordered[0].trajectory_steps()
        probes.measure(begin)
        with torch.no_grad():
            for lane in range(len(ordered)):
                for name in ("bias", "beta"):
                    model.params[f"layer_02.{name}"][lane, : 1 + lane % 8] = -1e3
        probes.measure(rest[0])
        if leave:
            model.keep(kept)
            data.keep(kept)
            probes.keep(kept)
        values = [probes.measure(step) for step in rest[1:]]
        fates = probes.of_whole_trials()
        if leave:
            past.append((values, fates))
        else:
            past.append(([of_step[kept] for of_step in values], [fates[lane] for lane in kept]))
    np.testing.assert_allclose(past[0][0], past[1][0], rtol=1e-4, atol=1e-6)
    assert past[0][1] == past[1][1]
    died = [fates["died_rate/layer_02"] for fates in past[0][1]]
    assert len(set(died)) > 1 and max(died) > 0


def test_units_that_are_killed_are_found_to_have_died_and_those_woken_revived() -> None:
    """Killed before the last fifth and in it; a step that is no point of the trajectory leaves no trace in it."""
    ordered, model, data = pack_of([config_of(seed=seed) for seed in (0, 1)])
    probes = PackProbes(configs=ordered, model=model, data=data)
    steps = ordered[0].trajectory_steps()
    with torch.no_grad():
        model.params["layer_01.bias"][0, :2] = -1e3
    for step in steps:
        with torch.no_grad():
            if step == steps[1]:
                model.params["layer_01.bias"][0, 0] = 1e3
                model.params["layer_02.bias"][0, :] = -1e3
                model.params["layer_01.bias"][1, 5] = -1e3
            if step == steps[2]:
                model.params["layer_01.bias"][1, 5] = 0.0
            if step == steps[-4]:  # the second of the last five
                model.params["layer_01.bias"][1, 6] = -1e3
        probes.measure(step)
        if step == steps[-1]:
            break
        with torch.no_grad():
            awake = model.params["layer_01.bias"].detach().clone()
            model.params["layer_01.bias"][:] = -1e3
        probes.measure_all(model)
        with torch.no_grad():
            model.params["layer_01.bias"].copy_(awake)
    first, second = probes.of_whole_trials()
    assert first["settled_frames"] == second["settled_frames"] == 5
    assert first["born_dead_rate/layer_01"] == 2 / 8
    assert first["revived_rate/layer_01"] == 1 / 8
    assert first["died_rate/layer_02"] == 1.0
    assert first["died_rate"] == first["dead_at_end_rate"] == 0.5
    assert second["transient_rate/layer_01"] == 1 / 8
    assert second["transient_rate"] == 1 / 16
    assert second["died_rate"] == 0.0 and second["dead_at_end_rate"] == 1 / 16


def test_fewer_frames_than_five_in_the_last_fifth_say_nothing_of_staying_dead() -> None:
    """As where a trial ends early: its own last fifth is where the points are logarithmic."""
    (config,), model, data = pack_of([config_of(training={"batch_size": 16, "epochs": 20})])
    probes = PackProbes(configs=[config], model=model, data=data)
    steps = [step for step in config.trajectory_steps() if step <= 60]
    assert steps[-1] > 40
    for step in steps:
        probes.measure(step)
    (fates,) = probes.of_whole_trials()
    assert fates["settled_frames"] == sum(step > 0.8 * steps[-1] for step in steps) < 5
    assert math.isnan(fates["died_rate"]) and math.isnan(fates["transient_rate/layer_01"])
    assert fates["dead_at_end_rate"] == fates["born_dead_rate"] == 0.0


def test_the_effective_rank_is_measured_at_some_points_first_and_last_included() -> None:
    config = TrialConfig()
    steps, chosen = config.probe_steps(), rank_steps(config)
    assert {steps[0], steps[-1]} <= chosen <= set(steps) and len(chosen) == 4
    everywhere = config_of(probes={"activation_statistics": {"rank_points": 10_000}})
    assert rank_steps(everywhere) == frozenset(everywhere.probe_steps())
    assert rank_steps(config_of(probes=OFF)) == frozenset()
    ordered, model, data = pack_of([config_of(probes={"activation_statistics": {"rank_points": 2}})])
    probes = PackProbes(configs=ordered, model=model, data=data)
    place = probe_series(ordered[0]).index("effective_rank")
    measured = {step: probes.measure(step)[0, place] for step in ordered[0].probe_steps()}
    assert [step for step, value in measured.items() if not np.isnan(value)] == [0, ordered[0].steps()]


@pytest.mark.parametrize("probe", EXTRA)
def test_a_family_that_is_off_by_default_adds_its_series_and_nothing_else(probe: str) -> None:
    usual, more = config_of(normalization="batch"), config_of(normalization="batch", probes={probe: EXTRA[probe]})
    _, model, data = pack_of([more])
    before = dict(
        zip(probe_series(usual), PackProbes(configs=[usual], model=model, data=data).measure(0)[0], strict=True)
    )
    probes = PackProbes(configs=[more], model=model, data=data, stepped=Steps(model, data).stepped)
    after = dict(zip(probe_series(more), probes.measure(0)[0], strict=True))
    added = {name: value for name, value in after.items() if name not in before}
    assert added
    assert all(np.isfinite(value) for name, value in added.items() if "slope" not in name)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


@pytest.mark.parametrize("probe", [*OFF, *EXTRA])
def test_a_family_alone_is_measured_where_it_is_due(probe: str) -> None:
    settings = EXTRA.get(probe, {})
    alone = {**OFF, "averaged_points": 6, "schedule": {"points": 10}, probe: settings}
    ordered, model, data = pack_of([config_of(activation=name, normalization="batch", probes=alone) for name in PHI])
    probes = PackProbes(configs=ordered, model=model, data=data, stepped=Steps(model, data).stepped)
    for step in ordered[0].probe_steps():
        values, due = probes.measure(step), probes.due(step)
        assert np.isnan(values[:, ~due]).all()
        measured = np.isfinite(values[0])
        for name, is_due, there in zip(probe_series(ordered[0]), due, measured, strict=True):
            assert there == is_due or name.startswith(MAYBE), f"{name} at step {step}"


@pytest.mark.parametrize("position", ["pre", "post"])
def test_the_error_of_running_statistics_is_told_from_the_plain_ones(position: str) -> None:
    """The second layer of 128 examples, one batch: its true statistics are those of a training pass before it."""
    level = {"name": "batch", "position": position}
    _, model, data = pack_of([config_of(normalization=level, activation="tanh", probes={"statistic_error": {}})])
    noise = torch.Generator().manual_seed(4)
    for name, tensor in model.statistics.items():
        drawn = torch.rand(tensor.shape, generator=noise)
        tensor.copy_(0.5 + drawn if name.endswith("var") else drawn - 0.5)
    tensors = {name: tensor[0].detach().double() for name, tensor in {**model.params, **model.statistics}.items()}
    h = (data.inputs[data.train[0]] * data.scale[0] + data.shift[0]).double().flatten(1)
    for number in (1, 2):
        x = h @ tensors[f"layer_0{number}.weight"]
        if position == "post":
            x = torch.tanh(x + tensors[f"layer_0{number}.bias"])
        wanted_mean, wanted_var = x.mean(0), x.var(0)
        h = (x - wanted_mean) / (x.var(0, correction=0) + 1e-5).sqrt()
        h = torch.tanh(h) if position == "pre" else h
    seen = dict(
        zip(
            probe_series(model.configs[0]),
            PackProbes(configs=model.configs, model=model, data=data).measure(0)[0],
            strict=True,
        )
    )
    of_mean = ((tensors["layer_02.running_mean"] - wanted_mean).abs() / wanted_var.sqrt()).mean()
    of_var = (tensors["layer_02.running_var"] / wanted_var).log().abs().mean()
    assert seen["statistic_mean_error/layer_02"] == pytest.approx(of_mean.item(), rel=1e-4)
    assert seen["statistic_variance_error/layer_02"] == pytest.approx(of_var.item(), rel=1e-4)


def test_running_statistics_have_no_error_where_there_are_none() -> None:
    ordered, model, data = pack_of(
        [config_of(normalization=name, probes={"statistic_error": {}}) for name in ("none", "batch", "layer")]
    )
    values = PackProbes(configs=ordered, model=model, data=data).measure(0)
    found = values[:, probe_series(ordered[0]).index("statistic_mean_error/layer_01")]
    known = [config.normalization.name for config, value in zip(ordered, found, strict=True) if np.isfinite(value)]
    assert known == ["batch"]


def test_gradient_flow_is_measured_at_some_points_first_and_last_included() -> None:
    ordered, model, data = pack_of([config_of(probes={"gradient_flow": {"points": 3}})])
    probes = PackProbes(configs=ordered, model=model, data=data)
    place = probe_series(ordered[0]).index("gradient_slope")
    measured = {step: probes.measure(step)[0, place] for step in ordered[0].probe_steps()}
    seen = [step for step, value in measured.items() if not np.isnan(value)]
    assert len(seen) == 3 and seen[0] == 0 and seen[-1] == ordered[0].steps()


@pytest.mark.parametrize("model", [{"kind": "mlp", "depth": 3, "width": 8}, {"kind": "cnn", "width": 4}])
@pytest.mark.parametrize("first", [1, 17, 48, 96])
def test_silence_is_decided_on_the_whole_probe_set_however_few_examples_go_first(
    model: dict[str, Any], first: int
) -> None:
    """Biases leave units that only few examples wake, and units that none does."""
    seen = []
    for averaged in (first, 128):
        configs = [
            config.model_copy(
                update={
                    "model": config_of(model=model).model,
                    "probes": config.probes.model_copy(update={"averaged_examples": averaged}),
                }
            )
            for config in MIXED
        ]
        ordered, networks, data = pack_of(configs)
        noise = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name in ("layer_01.bias", "layer_02.bias", "layer_01.beta", "layer_02.beta"):
                networks.params[name] -= 4 * torch.rand(networks.params[name].shape, generator=noise)
        probes = PackProbes(configs=ordered, model=networks, data=data)
        values = probes.measure(0)
        places = [number for number, name in enumerate(probe_series(ordered[0])) if name.startswith(("dead", "off"))]
        seen.append((values[:, places], probes.of_whole_trials()))
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert seen[0][1] == seen[1][1]
    assert 0 < np.nanmean(seen[0][0]) < 1


def test_examples_behind_the_first_pass_through_undecided_lanes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four lanes, the one with a dead unit goes on, to four times as many examples a round. The first are a whole
    batch of 16, though means are taken of 8.
    """
    few = {"averaged_examples": 8, "gradient_flow": None}
    ordered, model, data = pack_of([config_of(seed=seed, activation="tanh", probes=few) for seed in range(4)])
    with torch.no_grad():
        model.params["layer_02.bias"][2, 5] = 1e3
    passed: list[tuple[list[int], int]] = []
    forward = type(model).forward

    def watched(self: Any, params: Any, inputs: torch.Tensor, pass_: Pass) -> torch.Tensor:
        passed.append(([config.seed for config in self.configs], inputs.shape[1]))
        return forward(self, params, inputs, pass_)

    monkeypatch.setattr(type(model), "forward", watched)
    PackProbes(configs=ordered, model=model, data=data).measure(0)
    everybody, guilty = [config.seed for config in ordered], [ordered[2].seed]
    assert passed == [(everybody, 16), (guilty, 48), (guilty, 64)]


MEANS = ("saturated_rate", "dormant_rate", "activation_", "constant_rate", "network_constant", "lifetime", "population")
EVERYWHERE = ("dead_unit_rate", "off_rate", "pinned", "dead_half", "off_half", "dead_layers", "layer_dead")


@pytest.mark.parametrize("activation", ["relu", "prelu", "crelu", "modulus"])
@pytest.mark.parametrize("kind", [{"kind": "mlp", "depth": 3, "width": 8}, {"kind": "cnn", "width": 4}])
def test_means_are_taken_at_some_points_and_silence_is_decided_at_all(kind: dict[str, Any], activation: str) -> None:
    """What is measured at a point is what would be if means were taken at every one."""
    found = []
    for points in (3, 10_000):
        probes = {"averaged_points": points, "unit_states": {"points": 2}, "sparsity": {}, "schedule": {"points": 8}}
        statistics = {"activation_statistics": {"rank_points": 2}, "gradient_flow": None}
        ordered, model, data = pack_of(
            [
                config_of(model=kind, activation=activation, normalization=norm, probes={**probes, **statistics})
                for norm in ("none", "batch", "layer")
            ]
        )
        noise = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name in ("layer_01.bias", "layer_02.bias", "layer_01.beta", "layer_02.beta"):
                model.params[name] -= 2 * torch.rand(model.params[name].shape, generator=noise)
        measuring = PackProbes(configs=ordered, model=model, data=data)
        rows = {step: measuring.measure(step) for step in ordered[0].probe_steps()}
        found.append((rows, measuring.of_whole_trials()))
        names = probe_series(ordered[0])
        for step, row in rows.items():
            np.testing.assert_array_equal(measuring.due(step) | np.isnan(row), True)
    (some, fates), (every, all_fates) = found
    np.testing.assert_equal(fates, all_fates)
    steps = list(some)
    averaged = {steps[0], steps[round(7 / 2)], steps[-1]}
    for step in steps:
        for name, few, many in zip(names, some[step].T, every[step].T, strict=True):
            if step in averaged or name.startswith(EVERYWHERE):
                np.testing.assert_array_equal(few, many, err_msg=name)
            elif name.startswith(MEANS):
                assert np.isnan(few).all(), name
        dead = some[step][:, names.index("dead_unit_rate")]
        assert np.isfinite(dead).all()
    assert sum(name.startswith(MEANS) for name in names) > 20


def test_off_is_for_rectifiers_only() -> None:
    ordered, model, data = pack_of(
        [config_of(activation=name) for name in ("relu", "tanh", "elu", "sigmoid", "linear")]
    )
    place = probe_series(ordered[0]).index("off_rate")
    values = PackProbes(configs=ordered, model=model, data=data).measure(0)[:, place]
    known = {config.activation.name for config, value in zip(ordered, values, strict=True) if not np.isnan(value)}
    assert known == {"relu", "elu"}
