"""Widths of packs: where they begin, what memory allows, and what measured times make of them."""

from collections.abc import Callable

import pytest

from actinium.trial import Cnn, Mlp, Model, Task, Training, TrialConfig
from workers.models import build_model
from workers.packing import ENOUGH, counted_as, first_width, most_lanes, next_width, power_of_two, weight_count


@pytest.mark.parametrize(
    ("model", "dataset", "batch_size", "first", "most"),
    [
        (Mlp(width=128), "digits", 64, 16, 64),
        (Mlp(width=512), "mnist", 64, 16, 18),
        (Mlp(width=8192), "mnist", 1024, 1, 1),
        (Cnn(width=16), "digits", 64, 8, 64),
        (Cnn(width=16), "digits", 2, 16, 64),
        (Cnn(width=16), "cifar10", 64, 1, 42),
    ],
)
def test_bounds_on_a_cpu(model: Model, dataset: str, batch_size: int, first: int, most: int) -> None:
    config = TrialConfig(model=model, task=Task(dataset=dataset), training=Training(batch_size=batch_size))
    assert (first_width(config, "cpu"), most_lanes(config, "cpu")) == (first, most)


def test_networks_of_many_weights_are_packed_by_their_memory() -> None:
    config = TrialConfig(model=Mlp(depth=10, width=4096), training=Training(batch_size=2))
    assert most_lanes(config, "cpu") == 1
    assert most_lanes(config, "NVIDIA H200") == 14
    assert most_lanes(TrialConfig(), "NVIDIA H200") == 4096
    assert first_width(TrialConfig(), "NVIDIA H200") == 256


@pytest.mark.parametrize("model", [Mlp(depth=3, width=16), Mlp(depth=1, width=5), Cnn(width=6)])
def test_weights_are_counted_as_they_are_built(model: Model) -> None:
    config = TrialConfig(model=model)
    weights = [tensor for name, tensor in build_model([config]).params.items() if name.endswith(".weight")]
    assert weight_count(config) == sum(tensor.numel() for tensor in weights)


def explored(cost: Callable[[int], float], *, first: int, most: int, packs: int = 40) -> list[int]:
    """The widths of successive packs of a device where a lane's step costs that much."""
    seconds: dict[int, list[float]] = {}
    taken = []
    for _ in range(packs):
        width = next_width(seconds, first=first, most=most)
        seconds.setdefault(width, []).append(cost(width))
        taken.append(width)
    return taken


def test_widths_double_while_the_time_per_lane_falls() -> None:
    taken = explored(lambda width: 1.0 / min(width, 32), first=4, most=256)
    assert taken[:7] == [4, 8, 16, 32, 64, 64, 64]
    assert set(taken[7:]) == {32}


def test_widths_grow_to_the_bound_and_no_further() -> None:
    assert explored(lambda width: 1.0 / width, first=4, most=100)[-1] == 64
    assert max(explored(lambda width: 1.0 / width, first=4, most=100)) == 64


def test_a_first_guess_that_was_too_wide_is_left() -> None:
    taken = explored(lambda width: float(width), first=8, most=64)
    assert taken[0] == 8 and taken[-1] == 1


def test_a_little_faster_is_no_reason() -> None:
    assert explored(lambda width: 1.0 - 0.001 * width, first=4, most=16)[-1] == 1


def test_one_slow_pack_decides_nothing() -> None:
    """A pack of the better width met a busy machine."""
    assert next_width({8: [1.0, 1.0, 1.0], 16: [9.0]}, first=8, most=64) == 16
    assert next_width({8: [1.0, 1.0, 1.0], 16: [9.0, 0.5]}, first=8, most=64) == 16
    assert next_width({8: [1.0, 1.0, 1.0], 16: [9.0, 0.5, 0.5], 32: [1.0] * ENOUGH}, first=8, most=64) == 16
    settled = {8: [1.0] * 3, 16: [0.5, 0.5, 9.0], 32: [0.5] * 3}
    assert next_width(settled, first=8, most=64) == 16


def test_what_lies_past_the_bound_is_not_asked() -> None:
    assert next_width({16: [1.0], 32: [0.1]}, first=16, most=31) == 8
    assert next_width({32: [0.1]}, first=16, most=4) == 4
    assert next_width({}, first=16, most=1) == 1


@pytest.mark.parametrize(("lanes", "width"), [(1, 1), (2, 2), (3, 4), (5, 4), (6, 8), (11, 8), (12, 16), (23, 32)])
def test_a_pack_counts_as_the_nearest_width(lanes: int, width: int) -> None:
    assert counted_as(lanes) == width


def test_powers_of_two() -> None:
    assert [power_of_two(lanes) for lanes in (0, 1, 2, 3, 4, 63, 64)] == [1, 1, 2, 2, 4, 32, 64]
