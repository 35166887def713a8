"""The three grids of a training: what is decided does not depend on what is measured, or on the batch size."""

import pytest

from actinium.schedules import evaluation_steps, settled, spaced, spread, trajectory_steps
from actinium.trial import TrialConfig


@pytest.mark.parametrize("epochs", [1, 3, 4, 5, 20, 203, 204, 205, 1000])
@pytest.mark.parametrize("an_epoch", [1, 2, 4, 16, 539])
def test_evaluations_are_linear_in_epochs(epochs: int, an_epoch: int) -> None:
    steps = evaluation_steps(epochs=epochs, steps_per_epoch=an_epoch)
    assert steps[0] == 0 and steps[-1] == epochs * an_epoch
    assert steps == sorted(set(steps))
    assert len(steps) <= 217
    if an_epoch == 16 and epochs == 20:
        assert steps == [*range(0, 64, 4), *range(64, 321, 16)]


def test_arms_of_other_batch_sizes_are_evaluated_at_the_same_epochs() -> None:
    small, large = (evaluation_steps(epochs=8, steps_per_epoch=steps) for steps in (540, 16))
    assert [step / 540 for step in small] == [step / 16 for step in large]


@pytest.mark.parametrize("last", [1, 5, 24, 25, 100, 128, 320, 4320, 100_000])
def test_the_last_fifth_of_a_trajectory_has_five_points_whatever_the_length(last: int) -> None:
    steps = trajectory_steps(last)
    assert steps[0] == 0 and steps[-1] == last
    assert len(steps) == min(24, last + 1)
    if last >= 25:
        assert len(settled(steps, last)) == 5
        gaps = {b - a for a, b in zip(settled(steps, last), settled(steps, last)[1:], strict=False)}
        assert max(gaps) - min(gaps) <= 1, "linearly spaced"


@pytest.mark.parametrize("spacing", ["log", "linear"])
@pytest.mark.parametrize("points", [2, 3, 6, 9, 10, 12, 24, 100])
@pytest.mark.parametrize("last", [1, 2, 9, 40, 128, 4320])
def test_a_schedule_has_its_points(last: int, points: int, spacing: str) -> None:
    steps = spread(last, points=points, spacing=spacing)  # type: ignore[arg-type] # parametrized by a plain text
    assert steps[0] == 0 and steps[-1] == last
    assert len(set(steps)) == len(steps) == min(points, last + 1)


def test_the_default_schedule_measures_where_fates_are_decided() -> None:
    config = TrialConfig()
    assert config.probe_steps() == config.trajectory_steps()


def test_points_among_steps() -> None:
    assert spaced([0, 1, 2, 3, 4, 5, 6], 3) == {0, 3, 6}
    assert spaced([0, 1], 7) == {0, 1}
    assert spaced([0], 7) == {0}
