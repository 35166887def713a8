"""A test set that is not distributed as the training set: only test inputs change, and as the equation says."""

from typing import Any

import pytest
import torch

from actinium.frame import LaneFinished
from actinium.trial import TrialConfig
from workers.datasets import load_task
from workers.training.batches import PackData, pack_data
from workers.training.train import train_pack

SHIFT = {"scale": 0.5, "offset": 0.25}


def config(seed: int = 0, **task: Any) -> TrialConfig:
    """A small trial."""
    return TrialConfig.model_validate(
        {
            "task": task,
            "model": {"kind": "mlp", "depth": 1, "width": 16},
            "training": {"epochs": 3},
            "probes": {"schedule": {"points": 3}},
            "seed": seed,
        }
    )


def packed(*configs: TrialConfig) -> PackData:
    """Their data."""
    return pack_data(configs, lane_axis=0, device="cpu", data_root=None)


@pytest.mark.parametrize("dataset", ["digits", "xor"])
def test_only_test_inputs_are_shifted(dataset: str) -> None:
    """x -> scale x + offset s before they are z-scored as ever; labels and the other parts stay, in any company."""
    configs = [config(seed, dataset=dataset, shift=SHIFT) for seed in (4, 8)]
    plain = packed(*[config(seed, dataset=dataset) for seed in (4, 8)])
    moved = packed(*configs)
    for part in ("train", "validation"):
        before, after = plain.take(getattr(plain, part)), moved.take(getattr(moved, part))
        assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    before, labels = plain.take(plain.test)
    after, same_labels = moved.take(moved.test)
    assert torch.equal(labels, same_labels)
    for lane, one in enumerate(configs):
        raw = load_task(one.task, seed=one.seed).inputs.double()
        offset = 0.25 * (raw - raw.mean()).square().mean().sqrt()
        mean, scale = -plain.shift[lane].double() / plain.scale[lane], plain.scale[lane].double()
        unscaled = before[lane].double() / scale + mean
        torch.testing.assert_close(after[lane].double(), (0.5 * unscaled + offset - mean) * scale, atol=1e-4, rtol=1e-4)


def test_a_shift_that_changes_nothing_changes_no_number() -> None:
    """Scale 1 and offset 0: every frame and metric bit for bit; the digest says that it was asked for."""
    plain, asked = config(dataset="digits"), config(dataset="digits", shift={})
    assert plain.digest() != asked.digest() and plain.pack_key() != asked.pack_key()
    (one,) = [event for event in train_pack([plain]) if isinstance(event, LaneFinished)]
    (other,) = [event for event in train_pack([asked]) if isinstance(event, LaneFinished)]
    assert one.summary.metrics == pytest.approx(other.summary.metrics, rel=0, abs=0, nan_ok=True)


def test_a_shift_costs_accuracy_and_leaves_training_as_it_was() -> None:
    """Without contrast there is nothing left to see but chance."""
    (plain,) = [e for e in train_pack([config(dataset="digits")]) if isinstance(e, LaneFinished)]
    (blank,) = [e for e in train_pack([config(dataset="digits", shift={"scale": 0.0})]) if isinstance(e, LaneFinished)]
    assert plain.summary.metrics["test_error"] < 0.2 < 0.8 < blank.summary.metrics["test_error"]
    assert plain.summary.metrics["validation_loss"] == blank.summary.metrics["validation_loss"]
