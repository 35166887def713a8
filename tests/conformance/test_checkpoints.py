"""A pack that was interrupted and went on from its checkpoint, against the same pack left alone: bit by bit.

The clock stands still in both, so that whole summaries can be compared.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from actinium.frame import Checkpointed, CheckpointFailed, LaneFinished, Outcome, PackEvent, PackFrames
from actinium.trial import TrialConfig
from workers.checkpoints.state import PackState, decoded, encoded
from workers.training.train import train_pack

ALL_PROBES = {
    "schedule": {"points": 6},
    "unit_states": {},
    "sparsity": {},
    "spectrum": {},
    "distributions": {},
    "input_drift": {},
    "covariate_shift": {},
    "weights": {},
    "statistic_error": {},
}


def config(*, seed: int = 0, training: dict[str, Any] | None = None, **document: Any) -> TrialConfig:
    """A trial of 18 steps."""
    usual: dict[str, Any] = {
        "task": {"train_examples": 96},
        "model": {"kind": "mlp", "depth": 2, "width": 6},
        "probes": {"schedule": {"points": 5}},
    }
    rates = {"batch_size": 16, "epochs": 3, "learning_rate": 0.05, **(training or {})}
    return TrialConfig.model_validate({**usual, **document, "training": rates, "seed": seed})


def levels(*levels: tuple[Any, Any], **document: Any) -> list[TrialConfig]:
    """Lanes of (activation, normalization), two of every pair."""
    return [
        config(activation=activation, normalization=normalization, seed=seed, **document)
        for activation, normalization in levels
        for seed in (0, 1)
    ]


def trainings(**columns: Sequence[Any]) -> list[TrialConfig]:
    """Lanes that differ in fields of their training, given as columns; the values of one field may be all equal."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [config(training=row, seed=seed) for seed, row in enumerate(rows)]


IMAGES = {"model": {"kind": "cnn", "width": 3}}
READ = {"task": {"dataset": "digits_rows", "train_examples": 96}}

PACKS: dict[str, list[TrialConfig]] = {
    "momentum and decay": trainings(momentum=[0.9, 0.0, 0.5], weight_decay=[0.0, 0.01, 0.0], l1=[0.001, 0.0, 0.0]),
    "adam": trainings(optimizer=["adam"] * 2, learning_rate=[0.01, 0.001], gradient_clip=[None, 0.1]),
    "adamw": trainings(optimizer=["adamw"] * 2, weight_decay=[0.1, 0.0], learning_rate=[0.01] * 2),
    "running statistics": levels(
        ("relu", "batch"), ("tanh", {"name": "batch", "position": "post"}), ("relu", "none"), ("elu", "group")
    ),
    "rules of the batch": levels(
        ("relu", {"name": "batch_renorm", "ramp_start": 0.0, "r_ramp": 0.5, "d_ramp": 0.5}),
        ("relu", {"name": "noisy_batch"}),
        ("relu", {"name": "batch", "frozen_after": 0.5}),
        ("relu", {"name": "batch", "ghost_batch_size": 4}),
    ),
    "what activations learn and draw": levels(
        ({"name": "srelu", "frozen_epochs": 2}, "none"),
        ({"name": "srelu"}, "layer"),
        ("prelu", "none"),
        ("rrelu", "none"),
    ),
    "dropout": trainings(dropout=[0.0, 0.3, 0.5], momentum=[0.9] * 3),
    "images": [
        *levels(("relu", "batch"), ("prelu", "instance"), **IMAGES),
        config(normalization="batch", initialization="lsuv", training={"dropout": 0.2}, **IMAGES),
    ],
    "augmented images": levels(
        ("relu", "none"), model=IMAGES["model"], task={"train_examples": 96, "augmentation": {"flip": True, "crop": 1}}
    ),
    "no probe": levels(
        ("relu", "batch"),
        ("prelu", "none"),
        probes={
            "schedule": {"points": 5},
            "dead_units": None,
            "gradient_flow": None,
            "activation_statistics": None,
        },
    ),
    "every probe": levels(("relu", "batch"), ("prelu", "none"), probes=ALL_PROBES),
    "pretrained layers": [
        config(
            initialization={"name": "greedy_autoencoder", "epochs": 1}, model={"kind": "mlp", "depth": 2, "width": 6}
        ),
        config(initialization="he", seed=1),
    ],
    "transferred and frozen": [
        config(
            initialization={"name": "transfer", "source": "digits_0_4", "epochs": 1, "freeze": freeze},
            task={"dataset": "digits_5_9", "train_examples": 96},
            training={"weight_decay": 0.01},
        )
        for freeze in ("features", "none")
    ],
    "best networks": [
        config(training={"learning_rate": rate, "early_stopping": {"patience": 9, "restore_best": best}}, seed=seed)
        for seed, (rate, best) in enumerate([(0.05, True), (2.0, True), (0.05, False)])
    ],
    "lanes that left": [
        config(training={"learning_rate": 1e6, "momentum": 0.9}, normalization="none"),
        config(training={"momentum": 0.0, "gradient_clip": 0.5}, seed=1),
        config(training={"early_stopping": {"patience": 1, "min_delta": 1e5}, "momentum": 0.0}, normalization="batch"),
        config(training={"momentum": 0.0, "gradient_clip": 0.5}, activation="tanh", seed=2),
    ],
    "a lane that diverges later": [
        config(activation="linear", training={"learning_rate": rate, "momentum": 0.0}) for rate in (0.6, 0.3)
    ],
    "lstm": levels(("tanh", "none"), ("tanh", "layer"), model={"kind": "lstm", "depth": 1, "width": 4}),
    "rnn": levels(("relu", "batch"), ("tanh", "none"), model={"kind": "rnn", "depth": 1, "width": 4}),
    "autoencoder": [
        config(model={"kind": "autoencoder", "depth": 2, "width": 6}),
    ],
}


@dataclass
class Shelf:
    """A keeper that saves before the given polls (each is before a step), and stops the pack at the last of them."""

    polls: tuple[int, ...]
    goes_on: bool = False
    asked: int = 0
    states: list[bytes] = field(default_factory=list)

    def due(self) -> bool:
        self.asked += 1
        return self.asked in self.polls

    def stopping(self) -> bool:
        return not self.goes_on and self.asked == self.polls[-1]

    def keep(self, state: PackState) -> str:
        self.states.append(encoded(state))
        return f"checkpoint {len(self.states)}"


def train(configs: Sequence[TrialConfig], **given: Any) -> Iterator[PackEvent]:
    """A pack on a clock that stands still."""
    return train_pack(configs, clock=lambda: 0.0, **given)


def split(events: Sequence[PackEvent]) -> tuple[list[PackFrames], list[LaneFinished]]:
    """Frames and ends."""
    return [e for e in events if isinstance(e, PackFrames)], [e for e in events if isinstance(e, LaneFinished)]


def interrupted(configs: list[TrialConfig], *polls: int) -> tuple[list[PackEvent], Shelf, list[int]]:
    """What a pack yields until it is stopped, its checkpoints, and which lanes live on."""
    shelf = Shelf(polls)
    events = list(train(configs, keeper=shelf))
    assert isinstance(events[-1], Checkpointed)
    return events, shelf, list(events[-1].lanes)


def of_lanes(frames: PackFrames, lanes: list[int]) -> PackFrames:
    """The rows of some lanes, numbered anew in their order; those that are not there any more are left out."""
    there = [lane for lane in lanes if lane in frames.lanes]
    rows = frames.values[[frames.lanes.index(lane) for lane in there]]
    return replace(frames, lanes=tuple(lanes.index(lane) for lane in there), values=rows)


def assert_equal_frames(found: Sequence[PackFrames], wanted: Sequence[PackFrames]) -> None:
    """Bit by bit, NaN for NaN."""
    assert [frames.step for frames in found] == [frames.step for frames in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.lanes == other.lanes
        np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize(
    ("name", "poll"),
    [*((name, 14) for name in PACKS), *((name, poll) for name in ("adam", "best networks") for poll in (1, 9))],
)
def test_a_pack_goes_on_as_if_nothing_had_been(name: str, poll: int) -> None:
    """Whole curves and summaries, lanes that ended before the interruption included. The first poll is
    before the first step, the ninth at a frame.
    """
    configs = PACKS[name]
    frames, ends = split(list(train(configs)))
    before, shelf, living = interrupted(configs, poll)
    _, ended = split(before)
    resumed = list(train([configs[lane] for lane in living], checkpoint=lambda: decoded(shelf.states[-1])))
    frames_after, ends_after = split(resumed)
    summaries = {end.lane: end for end in ended}
    summaries |= {living[end.lane]: replace(end, lane=living[end.lane]) for end in ends_after}
    assert sorted(summaries) == sorted(end.lane for end in ends) == list(range(len(configs)))
    for end in ends:
        found = summaries[end.lane].summary.model_copy(update={"pack_width": len(configs)})
        assert found == end.summary, end.lane
    assert_equal_frames(frames_after, [of_lanes(one, living) for one in frames if set(living) & set(one.lanes)])


def test_lanes_leave_before_the_checkpoint_and_after_it_in_those_packs() -> None:
    """Else the packs above would not show what they say."""
    configs = PACKS["lanes that left"]
    before, _, living = interrupted(configs, 14)
    _, ended = split(before)
    assert living == [1, 3] and {end.lane for end in ended} == {0, 2}
    assert next(end for end in ended if end.lane == 0).summary.outcome is Outcome.DIVERGED
    configs = PACKS["a lane that diverges later"]
    assert split(list(train(configs)))[1][0].summary.outcome is Outcome.DIVERGED
    assert interrupted(configs, 14)[2] == [0, 1]


def test_a_pack_interrupted_twice_and_saved_on_its_way() -> None:
    """A checkpoint of a pack that came from one; those that did not stop it change nothing either."""
    configs = PACKS["running statistics"]
    frames, ends = split(list(train(configs)))
    _, first, _ = interrupted(configs, 3, 5)
    second = Shelf((4,))
    list(train(configs, keeper=second, checkpoint=lambda: decoded(first.states[-1])))
    assert decoded(second.states[-1]).step == 6
    last = Shelf((2, 4), goes_on=True)
    events = list(train(configs, keeper=last, checkpoint=lambda: decoded(second.states[-1])))
    assert [event.step for event in events if isinstance(event, Checkpointed)] == [7, 8]
    found_frames, found_ends = split(events)
    assert_equal_frames(found_frames, frames)
    assert found_ends == ends


def test_lanes_go_on_in_other_company() -> None:
    """Some lanes of a checkpoint, in another order: to rounding what they would have been."""
    configs = PACKS["running statistics"]
    _, ends = split(list(train(configs)))
    _, shelf, _ = interrupted(configs, 8)
    chosen = [6, 1, 3]
    _, alone = split(list(train([configs[lane] for lane in chosen], checkpoint=lambda: decoded(shelf.states[-1]))))
    for end in alone:
        wanted = next(other.summary for other in ends if other.lane == chosen[end.lane])
        assert end.summary.metrics == pytest.approx(wanted.metrics, rel=1e-4, abs=1e-5)


def test_time_goes_on() -> None:
    """Seconds of before count, those between do not; frames stay in order of time."""
    ticks = iter(range(10**6))
    configs = PACKS["adam"]
    shelf = Shelf((8,))
    before = list(train_pack(configs, keeper=shelf, clock=lambda: float(next(ticks))))
    state = decoded(shelf.states[-1])
    later = iter(range(5000, 10**6))
    after = list(train_pack(configs, checkpoint=lambda: state, clock=lambda: float(next(later))))
    frames, ends = split(after)
    times = [one.time for one in frames]
    assert times == sorted(times) and times[-1] < 5000
    assert times[: len(split(before)[0])] == [one.time for one in split(before)[0]]
    assert all(end.summary.seconds > sum(state.arrays["record/seconds"]) / 2 for end in ends)


@pytest.mark.parametrize(
    "fault", ["torn", "another trial", "another format", "an array is missing", "it cannot be read"]
)
def test_whatever_is_wrong_with_a_checkpoint_the_pack_begins_again(fault: str) -> None:
    configs = PACKS["adam"]
    frames, ends = split(list(train(configs)))
    _, shelf, _ = interrupted(configs, 8)
    content = shelf.states[-1]

    def read() -> PackState:
        state = decoded(content)
        match fault:
            case "torn":
                return decoded(content[: len(content) // 2])
            case "another trial":
                return replace(state, digests=tuple("0" * 64 for _ in state.digests))
            case "another format":
                return decoded(content.replace(b'"format": 1', b'"format": 9'))
            case "an array is missing":
                arrays = {name: array for name, array in state.arrays.items() if "second/" not in name}
                return replace(state, arrays=arrays)
        raise OSError("no such file")

    events = list(train(configs, checkpoint=read))
    assert isinstance(events[0], CheckpointFailed) and events[0].reason.startswith("not used: ")
    assert split(events[1:]) == split(events) and not isinstance(events[1], CheckpointFailed)
    assert_equal_frames(split(events)[0], frames)
    assert split(events)[1] == ends


def test_a_checkpoint_that_cannot_be_kept_stops_no_training() -> None:
    class Full(Shelf):
        def keep(self, state: PackState) -> str:
            raise OSError(28, "No space left on device")

    configs = PACKS["adam"]
    events = list(train(configs, keeper=Full((3, 5), goes_on=True)))
    failed = [event for event in events if isinstance(event, CheckpointFailed)]
    assert len(failed) == 2 and "No space left" in failed[0].reason
    assert split(events)[1] == split(list(train(configs)))[1]


def test_nothing_in_a_checkpoint_is_unpickled() -> None:
    """An array of objects is refused when it is read, and cannot be written."""
    _, shelf, _ = interrupted(PACKS["adam"], 2)
    state = decoded(shelf.states[-1])
    with pytest.raises(ValueError, match="allow_pickle"):
        encoded(replace(state, arrays={**state.arrays, "x": np.array([object()])}))
