"""Early stopping, augmentation and what may share a pack."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from trained import trained

from actinium.datasets.table import StoredDataset
from actinium.frame import LaneFinished, Outcome, TrialSummary
from actinium.levels import Initialization
from actinium.trial import Augmentation, Cnn, EarlyStopping, Mlp, Probes, Schedule, Task, Training, TrialConfig
from workers.draws import StepDraws
from workers.probes import PackProbes, probe_series
from workers.training.augmentation import augmented
from workers.training.constant_guess import ConstantGuess
from workers.training.evaluation import evaluate
from workers.training.outcome import LaneRecord
from workers.training.train import Pack, pack_layout

BASE = TrialConfig(
    task=Task(train_examples=100),
    model=Mlp(depth=2, width=8),
    training=Training(batch_size=16, epochs=3, learning_rate=0.01),
    probes=Probes(schedule=Schedule(points=8)),
)


def with_training(**fields: object) -> TrialConfig:
    return BASE.model_copy(update={"training": BASE.training.model_copy(update=fields)})


@pytest.mark.parametrize(
    ("steps", "losses", "patience", "min_delta", "stops"),
    [
        ([0, 6, 12, 18], [3.0, 2.0, 2.1, 2.2], 2, 0.0, True),
        ([0, 6, 12, 18], [3.0, 2.0, 2.1, 1.9], 2, 0.0, False),
        ([0, 6, 12], [3.0, 2.0, 2.1], 2, 0.0, False),
        ([0, 6, 12, 18], [3.0, 3.1, 2.0, 2.1], 2, 0.0, False),
        ([0, 6, 12], [3.0, 2.95, 2.91], 2, 0.1, True),
        ([0, 6, 12], [3.0, 2.95, 2.85], 2, 0.1, False),
        ([0], [3.0], 1, 0.0, False),
        ([0, 6], [3.0, 3.0], 1, 0.0, True),
        ([0, 2, 3, 4], [3.0, 3.1, 3.2, 3.3], 1, 0.0, False),  # four evaluations, and no epoch
        ([0, 2, 3, 4, 6], [3.0, 2.0, 2.1, 2.2, 2.3], 1, 0.0, False),  # the lowest was four steps ago
        ([0, 2, 3, 4, 6, 8], [3.0, 2.0, 2.1, 2.2, 2.3, 2.4], 1, 0.0, True),
        ([0, 6, 12], [3.0, math.inf, math.inf], 2, 0.0, True),  # an evaluation that overflows is never the lowest
    ],
)
def test_patience_is_in_epochs_without_a_new_lowest(
    steps: list[int], losses: list[float], patience: int, min_delta: float, stops: bool
) -> None:
    """Epochs are of 6 steps."""
    rule = EarlyStopping(patience=patience, min_delta=min_delta)
    record = LaneRecord(
        config=with_training(early_stopping=rule), parameters=1, constant=ConstantGuess(loss=1.0, chance_error=0.9)
    )
    assert record.config.steps_per_epoch() == 6
    for step, loss in zip(steps, losses, strict=True):
        record.saw(step, 1.0, loss)
    assert record.stops() == stops
    record.config = BASE
    assert not record.stops()


def test_a_lane_that_stops_early_leaves_with_its_last_frame_and_the_others_go_on() -> None:
    never = EarlyStopping(patience=1, min_delta=1e3)
    later = EarlyStopping(patience=2, min_delta=1e3)
    configs = [BASE, with_training(early_stopping=never), with_training(early_stopping=later), BASE]
    frames, summaries = trained(configs)
    steps = BASE.frame_steps()
    first, second = steps.index(6) + 1, steps.index(12) + 1
    assert [len(rows) for rows in frames] == [len(steps), first, second, len(steps)]
    assert [summary.steps for summary in summaries] == [18, 6, 12, 18]
    (alone,), _ = trained([BASE])
    np.testing.assert_allclose(frames[0][:, :2], alone[:, :2], rtol=2e-4)
    np.testing.assert_allclose(frames[2][:, :2], alone[:second, :2], rtol=2e-4)
    position = pack_layout(BASE).series.index("dead_unit_rate")
    assert summaries[1].metrics["dead_unit_rate"] == frames[1][-1, position]
    assert {"test_error", "born_dead_rate"} <= summaries[1].metrics.keys()


def test_a_pack_ends_when_every_lane_has_stopped() -> None:
    never = with_training(early_stopping=EarlyStopping(patience=1, min_delta=1e3))
    frames, summaries = trained([never, never.model_copy(update={"seed": 1})])
    last = BASE.frame_steps().index(6) + 1
    assert [len(rows) for rows in frames] == [last] * 2 and [s.steps for s in summaries] == [6] * 2


@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_patience_is_the_same_for_every_schedule_of_probes(activation: str) -> None:
    """As people write it, EarlyStopping(patience=3), on digits as they are: sigmoids need epochs until their loss
    falls, and log-spaced points come too close for them.
    """
    document = {
        "task": {"dataset": "digits", "scaling": "none", "train_examples": 256},
        "model": {"kind": "mlp", "depth": 2, "width": 32},
        "initialization": {"name": "xavier", "mode": "average", "distribution": "uniform"},
        "activation": activation,
    }
    training = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 32, "epochs": 40}
    stopping = training | {"early_stopping": {"patience": 3}}
    ends = []
    for schedule in ({"points": 2}, {"points": 24}, {"points": 60, "spacing": "linear"}):
        configs = [
            TrialConfig.model_validate(
                {**document, "training": stopping, "seed": seed, "probes": {"schedule": schedule}}
            )
            for seed in range(4)
        ]
        _, summaries = trained(configs)
        ends.append([summary.model_dump(exclude={"seconds", "probe_seconds"}) for summary in summaries])
    assert ends[0] == ends[1] == ends[2]
    steps_per_epoch = configs[0].steps_per_epoch()
    free = [config.model_copy(update={"training": Training.model_validate(training)}) for config in configs]
    rows, _ = trained(free)
    place = pack_layout(free[0]).series.index("evaluation_loss")
    stopped = 0
    for lane, config in enumerate(configs):
        losses = dict(zip(config.frame_steps(), rows[lane][:, place].tolist(), strict=True))
        seen = [(step, losses[step]) for step in config.evaluation_steps()]
        wanted = next(
            (
                now
                for now, _ in seen
                if now - min(seen[: seen.index((now, losses[now])) + 1], key=lambda one: one[1])[0]
                >= 3 * steps_per_epoch
            ),
            config.steps(),
        )
        assert ends[0][lane]["steps"] == wanted
        stopped += wanted < config.steps()
    assert stopped, "nobody stopped: nothing is tested"


def test_regularizers_train_in_one_pack_and_are_each_lanes_own() -> None:
    """Every lane alone against the pack, over all that a training step can add; the plain lane is left plain."""
    configs = [
        BASE,
        with_training(dropout=0.3),
        with_training(l1=1e-3, gradient_clip=0.2),
        with_training(weight_decay=1e-2, early_stopping=EarlyStopping(patience=1, min_delta=0.5)),
    ]
    assert len({config.pack_key() for config in configs}) == 1
    assert len({config.digest() for config in configs}) == 4
    together, summaries = trained(configs)
    for lane, config in enumerate(configs):
        (alone,), (summary,) = trained([config])
        np.testing.assert_allclose(together[lane][:, :2], alone[:, :2], rtol=2e-4)
        assert summaries[lane].steps == summary.steps
    assert len({rows[-1, 0] for rows in together}) == 4


@pytest.mark.parametrize("lane_axis", [0, 1])
def test_images_are_flipped_and_cut_by_their_draws(lane_axis: int) -> None:
    level, seeds = Augmentation(flip=True, crop=2), [0, 1, 0]
    images = torch.randn(3, 40, 2, 6, 5)
    inputs = images if lane_axis == 0 else images.transpose(0, 1)
    found = augmented(inputs, level, StepDraws(seeds, 9), lane_axis=lane_axis)
    found = found if lane_axis == 0 else found.transpose(0, 1)
    chance = StepDraws(seeds, 9).uniform("augmentation", "inputs", slice(None), (40, 3))
    assert not torch.equal(chance[0], chance[1])
    seen = set()
    for lane in range(3):
        for example in range(40):
            down, flip, right = chance[lane, example].tolist()
            top, left = int(down * 5), int(right * 5)
            padded = torch.nn.functional.pad(images[lane, example], (2, 2, 2, 2))
            cut = padded[:, top : top + 6, left : left + 5]
            assert torch.equal(found[lane, example], cut.flip(2) if flip < 0.5 else cut)
            seen.add((top, left, flip < 0.5))
    assert {top for top, _, _ in seen} == {left for _, left, _ in seen} == set(range(5))


def test_augmentation_without_parts_changes_nothing_and_with_them_only_training() -> None:
    images = torch.randn(2, 4, 1, 8, 8)
    assert torch.equal(augmented(images, Augmentation(), StepDraws([0, 1], 0), lane_axis=0), images)
    plain = BASE.model_copy(update={"model": Cnn(width=4)})
    moved = plain.model_copy(update={"task": plain.task.model_copy(update={"augmentation": Augmentation(crop=1)})})
    assert plain.pack_key() != moved.pack_key()
    (still,), (jittered,), (again,) = (trained([config])[0] for config in (plain, moved, moved))
    assert still[0, 1] == jittered[0, 1], "the untrained network is validated on images as they are"
    assert still[0, 0] != jittered[0, 0] and still[-1, 1] != jittered[-1, 1]
    assert np.array_equal(jittered, again, equal_nan=True)


@pytest.mark.parametrize(
    "fields",
    [{"dropout": 1.0}, {"dropout": -0.1}, {"l1": -1.0}, {"gradient_clip": 0.0}, {"early_stopping": {"patience": 0}}],
)
def test_what_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Training.model_validate(fields)
    assert math.isfinite(Training().learning_rate)


def test_only_images_are_augmented() -> None:
    vectors = StoredDataset(sha256="0" * 64, examples=100, shape=(7, 1, 1), classes=3)
    with pytest.raises(ValidationError, match="no images"):
        Task(dataset="mine", stored=vectors, augmentation=Augmentation(flip=True))
    assert Task(dataset="mine", stored=vectors).augmentation is None


def test_the_best_network_is_judged_in_everything_where_it_is_asked_for() -> None:
    """Lanes that overfit, with running statistics, one that stops early among them: each judged as it was at the
    evaluation of its lowest loss, the others as they are at their last.
    """
    training = {"batch_size": 10, "epochs": 12, "learning_rate": 0.3}
    rules = [{"patience": 3}, {"patience": 10_000, "restore_best": True}, {"patience": 3, "restore_best": True}]
    configs = [
        TrialConfig.model_validate(
            {
                **BASE.model_dump(),
                "normalization": "batch",
                "training": training | {"early_stopping": rule},
                "probes": {"schedule": {"points": 16}},
                "seed": seed,
            }
        )
        for seed, rule in enumerate([*rules, None])
    ]
    pack = Pack(configs, device="cpu", data_root=None, clock=lambda: 0.0)
    seen: dict[int, list[tuple[int, float, dict[str, float]]]] = {lane: [] for lane in range(4)}
    ends: dict[int, TrialSummary] = {}
    for event in pack.run():
        if isinstance(event, LaneFinished):
            ends[event.lane] = event.summary
            continue
        if event.step not in configs[0].evaluation_steps():
            continue
        as_now = in_full(pack)  # without the lanes that stop at this frame
        for lane, row in zip(event.lanes, event.values, strict=True):
            seen[lane].append((event.step, float(row[1]), as_now.get(lane, {})))
    for lane, config in enumerate(configs):
        rule = config.training.early_stopping
        best = min(seen[lane], key=lambda one: one[1])
        assert best[0] < seen[lane][-1][0], "the last network is not the best one"
        step, _, wanted = best if rule is not None and rule.restore_best else seen[lane][-1]
        assert wanted or (lane == 0 and step == ends[0].steps), "of lane 0 the network is gone at its end"
        for name, value in wanted.items():
            assert ends[lane].metrics[name] == pytest.approx(value, rel=1e-4), name
    assert ends[2].steps < ends[3].steps and ends[0].steps < ends[3].steps, "two have stopped early"


def in_full(pack: Pack) -> dict[int, dict[str, float]]:
    """By lane, what its network as it is now comes to, as far as the networks of this test differ in it."""
    model, data = pack._model, pack._data
    tested, validated = evaluate(model, data, data.test), evaluate(model, data, data.validation)
    probes = PackProbes(configs=model.configs, model=model, data=data)
    measured = dict(zip(probe_series(model.configs[0]), probes.measure(model.configs[0].steps()).T, strict=True))
    running = probes.by_other_statistics(model, model)["dead_unit_rate_running"]
    names = ("dead_unit_rate", "activation_rate/layer_02", "effective_rank", "gradient_slope")
    return {
        lane: {
            "test_loss": float(tested.loss[place]),
            "test_error": float(tested.error[place]),
            "validation_loss": float(validated.loss[place]),
            "validation_accuracy": 1.0 - float(validated.error[place]),
            "dead_unit_rate_running": float(running[place]),
            **{name: float(measured[name][place]) for name in names},
        }
        for place, lane in enumerate(pack._lanes)
    }


def test_a_perfect_network_on_a_tiny_validation_part_has_learned() -> None:
    """Sixteen validation examples of two equal classes that lie twelve deviations apart."""
    blobs = {"dataset": "gaussian_blobs", "parameters": {"examples": 80, "separation": 12, "dimensions": 2}}
    training = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 8, "epochs": 20}
    configs = [
        TrialConfig.model_validate(
            {
                "task": blobs,
                "model": {"kind": "mlp", "depth": 1, "width": 16},
                "training": training,
                "activation": activation,
                "seed": seed,
            }
        )
        for activation in ("relu", "tanh")
        for seed in range(3)
    ]
    _, summaries = trained(configs)
    for summary in summaries:
        assert summary.metrics["validation_accuracy"] == 1.0
        assert summary.outcome is Outcome.LEARNED
    idle = training | {"learning_rate": 1e-9, "epochs": 1}
    constant = [config.model_copy(update={"training": Training.model_validate(idle)}) for config in configs]
    zeros = [config.model_copy(update={"initialization": Initialization.of("zero")}) for config in constant]
    _, summaries = trained(zeros)
    assert {summary.outcome for summary in summaries} == {Outcome.STALLED}
