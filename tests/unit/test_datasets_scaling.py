"""How inputs are scaled, against numpy's formulas on the training part; and what cannot be scaled."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from actinium.frame import LaneFinished
from actinium.study import expand, parse_study
from actinium.trial import Training, TrialConfig
from workers.datasets import load_task, split
from workers.datasets.scaling import whitened
from workers.packing import most_lanes
from workers.training.batches import PackData, pack_data
from workers.training.train import train_pack


def config(seed: int = 0, **task: Any) -> TrialConfig:
    """A small trial."""
    return TrialConfig.model_validate(
        {
            "task": task,
            "model": {"kind": "mlp", "depth": 1, "width": 16},
            "training": {"epochs": 2, "learning_rate": 0.05},
            "probes": {"schedule": {"points": 3}},
            "seed": seed,
        }
    )


def packed(*configs: TrialConfig, lane_axis: int = 0) -> PackData:
    """Their data."""
    return pack_data(configs, lane_axis=lane_axis, device="cpu", data_root=None)


def raw(trial: TrialConfig) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All inputs [N, D], and the positions of the training part."""
    arrays = load_task(trial.task, seed=trial.seed)
    return arrays.inputs.flatten(1).double().numpy(), split(trial.task, arrays.labels, trial.seed).train.numpy()


def scaled(trial: TrialConfig) -> NDArray[np.float64]:
    """All inputs as the trial's network sees them."""
    data = packed(trial)
    everything = torch.arange(len(data.inputs)).unsqueeze(0)
    return data.take(everything)[0][0].flatten(1).double().numpy()


def constant_as_one(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """What never varies is not divided."""
    return np.where(spread > 0, spread, 1.0)


@pytest.mark.parametrize("dataset", ["digits", "digits_5_9"])
@pytest.mark.parametrize("scaling", ["zscore", "none", "unit", "minmax"])
def test_every_pixel_is_scaled_by_the_formula(scaling: str, dataset: str) -> None:
    trial = config(3, dataset=dataset, scaling=scaling)
    x, train = raw(trial)
    seen = x[train]
    expected = {
        "zscore": (x - seen.mean(0)) / constant_as_one(seen.std(0)),
        "none": x,
        "unit": x / 16.0,
        "minmax": (x - seen.min(0)) / constant_as_one(seen.max(0) - seen.min(0)),
    }[scaling]
    np.testing.assert_allclose(scaled(trial), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaling", ["zscore", "minmax"])
def test_images_share_a_channels_statistics(scaling: str) -> None:
    """As the dataset's definition says: one location and one spread a channel."""
    trial = config(dataset="phase_textures", scaling=scaling)
    x, train = raw(trial)
    seen = x[train]
    location, spread = (seen.mean(), seen.std()) if scaling == "zscore" else (seen.min(), seen.max() - seen.min())
    np.testing.assert_allclose(scaled(trial), (x - location) / spread, rtol=1e-4, atol=1e-5)


def test_whitened_inputs_have_the_identity_as_covariance_where_the_training_part_varies() -> None:
    """Without epsilon, by numpy's own decomposition: a projection of the rank of the training part; mean zero."""
    trial = config(scaling="zca", zca_epsilon=0.0)
    x, train = raw(trial)
    seen = scaled(trial)[train]
    rank = np.linalg.matrix_rank(x[train] - x[train].mean(0), tol=1e-3)
    values, vectors = np.linalg.eigh(np.cov(x[train].T, bias=True))
    assert rank < 64, "some pixels never vary"
    kept = vectors[:, -rank:]
    np.testing.assert_allclose(np.cov(seen.T, bias=True), kept @ kept.T, atol=1e-4)
    np.testing.assert_allclose(seen.mean(0), 0.0, atol=1e-5)
    by_hand = (x - x[train].mean(0)) @ (kept / np.sqrt(values[-rank:])) @ kept.T
    np.testing.assert_allclose(scaled(trial), by_hand, atol=1e-3)


def test_epsilon_is_added_to_every_directions_variance() -> None:
    """Relative to their mean: of direction i the output's variance is L_i / (L_i + epsilon mean L)."""
    x = torch.randn(500, 3, 2, 1, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[[1.0]], [[4.0]], [[9.0]]]
    )
    train = torch.arange(400)
    seen = whitened(x, train, 0.5).flatten(1)[:400].double().numpy()
    values, vectors = np.linalg.eigh(np.cov(x.flatten(1)[:400].double().numpy().T, bias=True))
    expected = (vectors * (values / (values + 0.5 * values.mean()))) @ vectors.T
    np.testing.assert_allclose(np.cov(seen.T, bias=True), expected, atol=1e-5)


def test_a_whitened_lane_is_the_same_alone_and_in_company() -> None:
    """Every seed has directions of its own; images keep their shape in the convolutional layout."""
    trials = [config(seed, dataset="digits", scaling="zca", shift={"scale": 0.5}) for seed in (4, 8, 4)]
    together = packed(*trials)
    for lane, trial in enumerate(trials):
        alone = packed(trial)
        for part in ("train", "validation", "test"):
            mine, theirs = alone.take(getattr(alone, part)), together.take(getattr(together, part))
            assert torch.equal(mine[0][0], theirs[0][lane]) and torch.equal(mine[1][0], theirs[1][lane])
    folded = packed(*trials, lane_axis=1)
    assert torch.equal(folded.take(folded.test)[0].transpose(0, 1), together.take(together.test)[0])


def test_stretch_moves_one_input_and_z_scores_undo_it() -> None:
    plain, stretched = config(scaling="none"), config(scaling="none", stretch=100.0)
    before, after = scaled(plain), scaled(stretched)
    middle = 4 * 8 + 4
    np.testing.assert_allclose(after[:, middle], 100.0 * before[:, middle])
    np.testing.assert_array_equal(np.delete(after, middle, 1), np.delete(before, middle, 1))
    np.testing.assert_allclose(scaled(config(stretch=100.0)), scaled(config()), atol=1e-5)


def test_what_cannot_be_scaled_is_an_invalid_design_with_the_reason() -> None:
    assert "minmax" in str(config(dataset="xor", scaling="unit").invalid_design())
    wide = config(dataset="gaussian_blobs", scaling="zca", parameters={"dimensions": 1024})
    assert wide.invalid_design() is None and config(dataset="cifar10", scaling="zca").invalid_design() is None
    document = {
        "name": "scalings",
        "task": {"dataset": "xor"},
        "factors": {"task.scaling": ["zscore", "none", "unit", "minmax", "zca"]},
    }
    design = expand(parse_study(document))
    assert [cell.cell["task.scaling"] for cell in design.cells] == ["zscore", "none", "minmax", "zca"]
    assert "no fixed range" in design.invalid[0].reason


def test_few_whitened_datasets_are_held_at_once() -> None:
    """60,000 images of 3,072 inputs, once a seed."""
    plain, white = config(dataset="cifar10"), config(dataset="cifar10", scaling="zca")
    assert most_lanes(white, "cpu") == 1 < most_lanes(plain, "cpu")
    assert most_lanes(config(scaling="zca"), "cpu") == most_lanes(config(), "cpu")


@pytest.mark.parametrize("scaling", ["none", "unit", "minmax", "zca"])
def test_a_study_of_scalings_learns(scaling: str) -> None:
    """Far better than chance after six epochs, whatever the inputs' scale."""
    rate = 0.001 if scaling == "none" else 0.05
    trial = config(scaling=scaling)
    trial = trial.model_copy(update={"training": Training(learning_rate=rate, epochs=6)})
    (end,) = [event for event in train_pack([trial]) if isinstance(event, LaneFinished)]
    assert end.summary.metrics["test_error"] < 0.5
