"""What a pack tells its caller, and when."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from trained import trained

from actinium.frame import LaneFinished, PackFrames
from actinium.levels import Activation, Normalization
from actinium.probes import ActivationStatistics, GradientFlow
from actinium.trial import EarlyStopping, Mlp, Probes, Schedule, Task, Training, TrialConfig
from workers.datasets import load
from workers.layers import Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.models.start import parameter_count
from workers.objectives import cross_entropy
from workers.training.batches import epoch_order, pack_data
from workers.training.constant_guess import ConstantGuess
from workers.training.evaluation import evaluate, train_eval_gap
from workers.training.outcome import LaneRecord
from workers.training.train import pack_layout, train_pack

BASE = TrialConfig(
    task=Task(train_examples=100),
    model=Mlp(depth=2, width=8),
    training=Training(batch_size=16, epochs=2, learning_rate=0.01),
    probes=Probes(schedule=Schedule(points=5)),
)


def with_seed(seed: int, **update: object) -> TrialConfig:
    return BASE.model_copy(update={"seed": seed, **update})


def test_frames_come_at_all_three_grids_and_then_the_summaries() -> None:
    configs = [with_seed(0), with_seed(1, normalization=Normalization.of("batch")), with_seed(2)]
    events = list(train_pack(configs))
    frames = [event for event in events if isinstance(event, PackFrames)]
    finished = [event for event in events if isinstance(event, LaneFinished)]
    assert events == [*frames, *finished]
    grids = BASE.probe_steps(), BASE.evaluation_steps(), BASE.trajectory_steps()
    assert [event.step for event in frames] == sorted(set().union(*grids))
    assert all(event.lanes == (0, 1, 2) for event in frames)
    assert all(event.values.shape == (3, len(pack_layout(BASE).series)) for event in frames)
    assert all(event.values.dtype == np.float32 for event in frames)
    assert sorted(event.lane for event in finished) == [0, 1, 2]
    summary = finished[0].summary
    assert (summary.steps, summary.probe_examples, summary.device) == (12, 100, "cpu")


def test_rows_belong_to_the_callers_lanes() -> None:
    """Lanes are sorted inside; each caller's lane must come back under its own number."""
    relu = with_seed(0, normalization=Normalization.of("layer"))
    tanh = with_seed(0, activation=Activation.of("tanh"))
    one = next(iter(train_pack([relu, tanh])))
    other = next(iter(train_pack([tanh, relu])))
    assert isinstance(one, PackFrames) and isinstance(other, PackFrames)
    np.testing.assert_array_equal(one.values, other.values[::-1])
    assert not np.array_equal(one.values[0, :2], one.values[1, :2])


def test_time_is_the_clocks_and_shared_among_the_lanes() -> None:
    ticks = itertools.count()
    events = list(train_pack([with_seed(0), with_seed(1)], clock=lambda: float(next(ticks))))
    times = [event.time for event in events if isinstance(event, PackFrames)]
    assert times == sorted(times) and times[0] > 0
    for event in events:
        if isinstance(event, LaneFinished):
            assert 0 < event.summary.probe_seconds < event.summary.seconds <= times[-1]


def test_a_lanes_order_is_its_seeds_and_every_epoch_is_a_permutation() -> None:
    configs = [with_seed(0), with_seed(0, activation=Activation.of("tanh")), with_seed(1)]
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    first, second = (epoch_order(data, configs, epoch) for epoch in (0, 1))
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])
    assert not torch.equal(first[0], second[0])
    for order in (first, second):
        assert torch.equal(order.sort().values, data.train.sort().values)


def test_inputs_are_scaled_by_the_lanes_own_training_part() -> None:
    configs = [with_seed(0), with_seed(1)]
    for lane_axis in (0, 1):
        data = pack_data(configs, lane_axis=lane_axis, device="cpu", data_root=None)
        inputs, labels = data.take(data.train)
        lanes_first = inputs if lane_axis == 0 else inputs.transpose(0, 1)
        assert torch.equal(labels, load("digits").labels[data.train])
        for lane in range(2):
            spread = lanes_first[lane].std(0, correction=0)
            torch.testing.assert_close(lanes_first[lane].mean(0), torch.zeros(1, 8, 8), atol=1e-5, rtol=0.0)
            moving = spread > 0
            torch.testing.assert_close(spread[moving], torch.ones_like(spread[moving]), atol=1e-4, rtol=0.0)


def test_one_split_for_all_seeds_where_its_seed_is_a_number() -> None:
    shared = BASE.task.model_copy(update={"split_seed": 5})
    data = pack_data([with_seed(0, task=shared), with_seed(1, task=shared)], lane_axis=0, device="cpu", data_root=None)
    assert torch.equal(data.train[0], data.train[1]) and torch.equal(data.test[0], data.test[1])
    apart = pack_data([with_seed(0), with_seed(1)], lane_axis=0, device="cpu", data_root=None)
    assert not torch.equal(apart.test[0], apart.test[1])


def test_evaluation_in_parts_is_evaluation_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [with_seed(0), with_seed(1)]
    model, data = build_model(configs), pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    whole = evaluate(model, data, data.validation)
    monkeypatch.setattr("workers.training.evaluation.CHUNK_ELEMENTS", {"cpu": 7 * 2 * 8})
    parts = evaluate(model, data, data.validation)
    torch.testing.assert_close(parts.loss, whole.loss)
    assert torch.equal(parts.error, whole.error)
    inputs, labels = data.take(data.validation)
    logits = model.forward(model.params, inputs, Pass.evaluation())
    torch.testing.assert_close(whole.loss, cross_entropy(logits, labels))
    torch.testing.assert_close(whole.error, (logits.argmax(-1) != labels).float().mean(1))


def test_the_gap_is_running_against_batch_statistics_on_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of the training's own size: of 359 test examples 22 whole ones of 16, each passed by itself."""
    configs = [
        *(with_seed(seed, normalization=Normalization.of("batch")) for seed in range(3)),
        with_seed(0),
    ]
    model, data = build_model(configs), pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    for name in model.statistics:
        model.statistics[name] += torch.rand_like(model.statistics[name])
    held = {name: tensor.clone() for name, tensor in model.statistics.items()}
    gaps = train_eval_gap(model, data)
    assert data.test.shape[1] == 359
    wrong = torch.zeros(2, 3)
    for batch in torch.split(data.test[:, :352], 16, dim=1):
        inputs, labels = data.take(batch)
        for number, mode in enumerate((Pass.evaluation(), Pass.measuring())):
            wrong[number] += (model.forward(model.params, inputs, mode).argmax(-1) != labels).sum(1)[:3]
    torch.testing.assert_close(gaps[:3], (wrong[0] - wrong[1]) / 352)
    assert float(gaps[:3].abs().sum()) > 0
    assert torch.isnan(gaps[3])
    assert all(torch.equal(held[name], tensor) for name, tensor in model.statistics.items())
    monkeypatch.setattr("workers.training.evaluation.CHUNK_ELEMENTS", {"cpu": 1})
    torch.testing.assert_close(train_eval_gap(model, data), gaps, equal_nan=True)


def test_the_gap_of_ghosts_of_two_is_that_of_batches_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """One network, said to be trained by batches of 2, by batches of 24 in ghosts of 2, and by batches of 24: of the
    first two the statistics are the same, so the gaps are; of batches of 24 they are others. All on 336 examples, which
    are whole batches of either size.
    """
    monkeypatch.setattr("workers.training.evaluation.GAP_EXAMPLES", 336)
    found = []
    for size, ghosts in ((2, None), (24, 2), (24, None)):
        level = {"name": "batch"} | ({} if ghosts is None else {"ghost_batch_size": ghosts})
        training = BASE.training.model_copy(update={"batch_size": size})
        config = with_seed(0, normalization=Normalization.of(level), training=training)
        model, data = build_model([config]), pack_data([config], lane_axis=0, device="cpu", data_root=None)
        data.test = data.test[:, : 14 * 24]  # whole batches of each size
        noise = torch.Generator().manual_seed(7)
        for tensor in model.statistics.values():
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=noise))
        found.append(float(train_eval_gap(model, data)))
    assert found[0] == found[1] != found[2]
    assert found[0] != 0.0


def test_a_lane_without_batch_statistics_has_no_gap_between_lanes_that_have_them() -> None:
    """Alone it has none; in company its outputs in both modes are the same, and a gap of 0 would be said of it."""
    between = with_seed(1, normalization=Normalization.of("layer"))
    company = [with_seed(0, normalization=Normalization.of(name)) for name in ("batch", "noisy_batch")]
    configs = [company[0], between, company[1]]
    assert [configs[lane] for lane in lane_order(configs)] == configs, "it must stand between the two"
    _, alone = trained([between])
    rows, together = trained(configs)
    place = pack_layout(between).position("train_eval_gap")
    assert np.isnan(rows[1][:, place]).all() and np.isfinite(rows[0][-1, place])
    assert "train_eval_gap" not in together[1].metrics
    assert "precise_test_error" not in together[1].metrics
    assert together[1].metrics.keys() == alone[0].metrics.keys()
    assert {"train_eval_gap", "dead_unit_rate_running", "precise_test_error"} <= together[0].metrics.keys()


@pytest.mark.parametrize(
    ("activation", "normalization", "count"),
    [
        ("relu", "none", 64 * 8 + 8 * 8 + 8 * 10 + 8 + 8 + 10),
        ("relu", "batch", 64 * 8 + 8 * 8 + 8 * 10 + 10 + 4 * 8),
        ("relu", {"name": "batch", "position": "post"}, 64 * 8 + 8 * 8 + 8 * 10 + 16 + 10 + 4 * 8),
        ("relu", "layer", 64 * 8 + 8 * 8 + 8 * 10 + 16 + 10 + 4 * 8),
        ("prelu", "none", 64 * 8 + 8 * 8 + 8 * 10 + 16 + 10 + 16),
        ({"name": "prelu", "per": "layer"}, "none", 64 * 8 + 8 * 8 + 8 * 10 + 16 + 10 + 2),
    ],
)
def test_a_trials_parameters_are_counted_alone(activation: object, normalization: object, count: int) -> None:
    config = with_seed(0, activation=Activation.of(activation), normalization=Normalization.of(normalization))
    company = [config, with_seed(0, activation=Activation.of("prelu"), normalization=Normalization.of("batch"))]
    for pack in ([config], company):
        params = build_model(
            sorted(pack, key=lambda c: (c.normalization.model_dump_json(), c.activation.model_dump_json()))
        ).params
        assert parameter_count(config, params) == count


def test_biases_that_a_normalization_cancels_stay_at_zero() -> None:
    """SCIENCE B: layers before batch or instance normalization carry no bias; those before the others do."""
    documents = ["batch", "layer", "none", {"name": "batch", "position": "post"}]
    configs = [with_seed(0, normalization=Normalization.of(document)) for document in documents]
    configs = [configs[lane] for lane in lane_order(configs)]
    model = build_model(configs)
    inputs, labels = torch.randn(4, 16, 1, 8, 8), torch.randint(10, (4, 16))
    loss = cross_entropy(model.forward(model.params, inputs, Pass.step()), labels).sum()
    (gradient,) = torch.autograd.grad(loss, [model.params["layer_01.bias"]])
    for lane, config in enumerate(configs):
        frozen = config.normalization == Normalization.of("batch")
        assert bool((gradient[lane] == 0).all()) == frozen


def test_a_pack_data_narrows_to_neighbours() -> None:
    configs = [with_seed(seed) for seed in range(4)]
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    narrow = data.narrow(1, 2)
    kept = replace(data)
    kept.keep([1, 2])
    for part in (narrow, kept):
        torch.testing.assert_close(part.take(part.test[:, :5])[0], data.take(data.test[:, :5])[0][1:3])


def test_a_trial_that_ends_between_the_points_of_a_probe_is_measured_in_full_at_its_end() -> None:
    """Stopped after one epoch; the rank is measured at the first and the last step, everything at each in another."""
    impatient = Training(
        batch_size=16, epochs=2, learning_rate=0.01, early_stopping=EarlyStopping(patience=1, min_delta=1e6)
    )
    sparse = Probes(
        schedule=Schedule(points=2),
        activation_statistics=ActivationStatistics(rank_points=2),
        gradient_flow=GradientFlow(points=2),
    )
    dense = Probes(
        schedule=Schedule(points=100),
        averaged_points=100,
        activation_statistics=ActivationStatistics(rank_points=100),
        gradient_flow=GradientFlow(points=100),
    )
    ends = {}
    for probes in (sparse, dense):
        config = with_seed(0, probes=probes, training=impatient, normalization=Normalization.of("batch"))
        (rows,), (summary,) = trained([config])
        assert summary.steps == 6 < BASE.steps()
        ends[probes] = dict(zip(pack_layout(config).series, rows[-1].tolist(), strict=True)), summary.metrics
    last, _ = ends[sparse]
    assert all(math.isnan(last[name]) for name in ("effective_rank", "gradient_slope", "validation_loss"))
    last, metrics = ends[dense]
    for name in ("effective_rank", "effective_rank/layer_02", "gradient_slope", "dead_unit_rate"):
        assert metrics[name] == last[name], name
    assert ends[sparse][1] == metrics
    assert {"validation_loss", "train_eval_gap", "dead_unit_rate_recomputed", "saturated_rate"} <= metrics.keys()


def test_what_became_of_units_is_remembered_from_the_last_point_at_which_they_were_seen() -> None:
    """Of what every point of a trajectory has; a point without any of it, as of outputs not finite, has seen none."""
    lane = LaneRecord(config=BASE, parameters=1, constant=ConstantGuess(loss=1.0, chance_error=0.9))
    of_units = np.array([False, True, True])
    lane.measured(np.array([1.0, 2.0, 3.0], dtype=np.float32), of_units)
    lane.measured(np.array([4.0, 5.0, np.nan], dtype=np.float32), of_units)
    lane.measured(np.array([6.0, np.nan, np.nan], dtype=np.float32), of_units)
    np.testing.assert_array_equal(lane.fates, [np.nan, 5.0, np.nan])
