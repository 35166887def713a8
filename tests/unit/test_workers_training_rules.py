"""Early stopping, augmentation and what may share a pack."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from trained import trained
from workers.training.trivial import Trivial

from actinium.datasets.table import StoredDataset
from actinium.frame import LaneFinished, TrialSummary
from actinium.trial import Augmentation, Cnn, EarlyStopping, Mlp, Probes, Schedule, Task, Training, TrialConfig
from workers.draws import StepDraws
from workers.training.augmentation import augmented
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
    ("losses", "patience", "min_delta", "stops"),
    [
        ([3.0, 2.0, 2.1, 2.2], 2, 0.0, True),
        ([3.0, 2.0, 2.1, 1.9], 2, 0.0, False),
        ([3.0, 2.0, 2.1], 2, 0.0, False),
        ([3.0, 3.1, 2.0, 2.1], 2, 0.0, False),
        ([3.0, 2.95, 2.91], 2, 0.1, True),
        ([3.0, 2.95, 2.85], 2, 0.1, False),
        ([3.0], 1, 0.0, False),
        ([3.0, 3.0], 1, 0.0, True),
    ],
)
def test_patience_counts_evaluations_without_a_new_lowest(
    losses: list[float], patience: int, min_delta: float, stops: bool
) -> None:
    rule = EarlyStopping(patience=patience, min_delta=min_delta)
    record = LaneRecord(
        config=with_training(early_stopping=rule), parameters=1, trivial=Trivial(loss=1.0, accuracy=1.0)
    )
    for loss in losses:
        record.saw(1.0, loss, 0.5)
    assert record.stops() == stops
    record.config = BASE
    assert not record.stops()


def test_a_lane_that_stops_early_leaves_with_its_last_frame_and_the_others_go_on() -> None:
    never = EarlyStopping(patience=1, min_delta=1e3)
    later = EarlyStopping(patience=3, min_delta=1e3)
    configs = [BASE, with_training(early_stopping=never), with_training(early_stopping=later), BASE]
    frames, summaries = trained(configs)
    steps = BASE.probe_steps()
    assert [len(rows) for rows in frames] == [len(steps), 2, 4, len(steps)]
    assert [summary.steps for summary in summaries] == [steps[-1], steps[1], steps[3], steps[-1]]
    (alone,), _ = trained([BASE])
    np.testing.assert_allclose(frames[0][:, :2], alone[:, :2], rtol=2e-4)
    np.testing.assert_allclose(frames[2][:, :2], alone[:4, :2], rtol=2e-4)
    position = pack_layout(BASE).series.index("dead_unit_rate")
    assert summaries[1].metrics["dead_unit_rate"] == frames[1][-1, position]
    assert {"test_error", "born_dead_rate"} <= summaries[1].metrics.keys()


def test_a_pack_ends_when_every_lane_has_stopped() -> None:
    never = with_training(early_stopping=EarlyStopping(patience=1, min_delta=1e3))
    frames, summaries = trained([never, never.model_copy(update={"seed": 1})])
    assert [len(rows) for rows in frames] == [2, 2] and [s.steps for s in summaries] == [BASE.probe_steps()[1]] * 2


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


def test_the_best_network_is_tested_where_it_is_asked_for() -> None:
    """Lanes that overfit, with running statistics, one that stops early among them: each tested as it was at the frame
    of its lowest validation loss, the others as they are at their last.
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
    frames: dict[int, list[tuple[float, float]]] = {lane: [] for lane in range(4)}
    ends: dict[int, TrialSummary] = {}
    for event in pack.run():
        if isinstance(event, LaneFinished):
            ends[event.lane] = event.summary
            continue
        tested = evaluate(pack._model, pack._data, pack._data.test).loss.tolist()
        by_lane = dict(zip(pack._lanes, tested, strict=True))  # without those that stop at this frame
        for lane, row in zip(event.lanes, event.values, strict=True):
            frames[lane].append((float(row[1]), by_lane.get(lane, math.nan)))
    for lane, config in enumerate(configs):
        rule = config.training.early_stopping
        best = min(range(len(frames[lane])), key=lambda frame: frames[lane][frame][0])
        assert best < len(frames[lane]) - 1, "the last network is not the best one"
        if rule is not None and rule.restore_best:
            assert ends[lane].metrics["test_loss"] == pytest.approx(frames[lane][best][1], rel=1e-5)
        elif not math.isnan(frames[lane][-1][1]):
            assert ends[lane].metrics["test_loss"] == pytest.approx(frames[lane][-1][1], rel=1e-5)
    assert ends[2].steps < ends[3].steps and ends[0].steps < ends[3].steps, "two have stopped early"
