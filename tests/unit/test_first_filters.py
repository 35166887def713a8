"""The kernels that a trial leaves: which, when, and how they are drawn."""

from typing import Any

import numpy as np
import pytest
import torch

from actinium import frame
from actinium.frame import FIRST_FILTERS, LaneFinished
from actinium.trial import TrialConfig
from dashboard.charts.filters import mosaic, tiles
from workers.models import build_model
from workers.probes import first_filters as probe
from workers.training.train import train_pack


def config_of(kind: str = "cnn", **document: Any) -> TrialConfig:
    model = {"kind": kind, "width": 4}
    usual = {"task": {"train_examples": 64}, "training": {"batch_size": 32, "epochs": 2}, "probes": {"filters": {}}}
    return TrialConfig.model_validate({"model": model, **usual, **document})


def left(*configs: TrialConfig) -> list[LaneFinished]:
    ends = [event for event in train_pack(configs) if isinstance(event, LaneFinished)]
    return sorted(ends, key=lambda end: end.lane)


def test_each_lane_leaves_its_own_kernels_as_training_made_them() -> None:
    slow = {"batch_size": 32, "epochs": 2, "learning_rate": 1e-9}
    configs = [config_of(seed=0), config_of(seed=0, training=slow), config_of(seed=1, activation="tanh")]
    kernels = [end.artifacts[FIRST_FILTERS] for end in left(*configs)]
    assert all(array.shape == (4, 1, 5, 5) and array.dtype == np.float32 for array in kernels)
    start = build_model([configs[1]]).params["layer_01.weight"][0].detach().numpy()
    np.testing.assert_allclose(kernels[1], start, atol=1e-6)
    assert np.abs(kernels[0] - start).max() > 1e-3
    for config, own in zip(configs, kernels, strict=True):
        (alone,) = left(config)
        np.testing.assert_allclose(alone.artifacts[FIRST_FILTERS], own, rtol=1e-4, atol=1e-6)


def test_a_trial_that_diverges_leaves_none() -> None:
    """What it ended as knows nothing; kernels of an earlier network are not what became of it."""
    wild = {"batch_size": 32, "epochs": 20, "learning_rate": 1e6}
    end, other = left(
        config_of(training=wild, activation="half_squaring"),
        config_of(training={"batch_size": 32, "epochs": 20}, seed=1),
    )
    assert end.summary.outcome is frame.Outcome.DIVERGED
    assert end.artifacts == {} and FIRST_FILTERS in other.artifacts


def test_nothing_is_left_where_nobody_asked_or_nothing_is_convolved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert left(config_of(probes={}))[0].artifacts == {}
    assert left(config_of("mlp"))[0].artifacts == {}
    monkeypatch.setattr(probe, "LARGEST_ARTIFACT", 4 * 100 - 1)
    assert left(config_of())[0].artifacts == {}, "4 kernels of 25 weights are 400 bytes"


def test_kernels_are_laid_out_in_the_order_of_reading() -> None:
    kernels = np.arange(3 * 1 * 2 * 2, dtype=np.float32).reshape(3, 1, 2, 2)
    nothing = np.nan
    np.testing.assert_array_equal(
        mosaic(kernels)[:, :, 0], [[0, 1, nothing, 4, 5, nothing, 8, 9], [2, 3, nothing, 6, 7, nothing, 10, 11]]
    )
    assert mosaic(np.zeros((5, 3, 2, 2), dtype=np.float32)).shape == (5, 11, 3)


def test_colours_are_on_one_scale_with_grey_for_zero() -> None:
    kernels = torch.tensor([[1.0], [-1.0], [0.0], [0.5]]).expand(4, 3).reshape(4, 3, 1, 1).numpy()
    (image,) = tiles(kernels).data
    shades = np.array(image.z)
    assert shades[0, [0, 2, 4], 0].tolist() == [255.0, 0.0, 127.5] and shades[0, 0, 3] == 255.0
    assert shades[0, 1].tolist() == [0.0] * 4, "the page shows between the tiles"
    (grey,) = tiles(kernels[:, :1]).data
    assert (grey.zmin, grey.zmax) == (-1.0, 1.0)
