"""What a trial makes of a stored dataset: float64 is scaled before it is rounded, and a split of its own is used."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from actinium.datasets.file import DatasetArrays
from actinium.datasets.table import StoredDataset
from actinium.errors import InvalidInput
from actinium.frame import LaneFinished
from actinium.trial import Task, TrialConfig
from workers.datasets.splits import split
from workers.datasets.stored import SHELF, Shelf, tensors
from workers.training.batches import PackData, pack_data
from workers.training.train import train_pack

N = 200
Y = (np.arange(N) % 4).astype(np.int64)
VEC = np.random.default_rng(0).normal(size=(N, 12)) + Y[:, None]


def stored(inputs: NDArray[Any], **own: Any) -> StoredDataset:
    """The dataset on this process's shelf, and its facts."""
    arrays = DatasetArrays(inputs=inputs.reshape(*inputs.shape, *(1,) * (4 - inputs.ndim)), labels=Y, **own)
    facts = arrays.facts()
    SHELF.put(facts.sha256, arrays.written(compressed=False))
    return facts


def config(facts: StoredDataset, seed: int = 0, model: dict[str, Any] | None = None, **task: Any) -> TrialConfig:
    """A small trial on it."""
    return TrialConfig.model_validate(
        {
            "task": {"dataset": "mine", "stored": facts.model_dump(mode="json"), **task},
            "model": model or {"kind": "mlp", "depth": 1, "width": 16},
            "training": {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 16, "epochs": 20},
            "probes": {"schedule": {"points": 3}},
            "seed": seed,
        }
    )


def packed(*configs: TrialConfig) -> PackData:
    """Their data."""
    return pack_data(configs, lane_axis=0, device="cpu", data_root=None)


MOVED = {
    "float64": VEC,
    "offset_1e6": 1e6 + VEC,
    "timestamps": 1.7e9 + VEC * 30,
    "huge": VEC * 1e25,
    "tiny": VEC * 1e-30,
    "below float32": VEC * 1e-44,
    "mixed_scales": VEC * np.r_[1e5, 1e-4, np.ones(10)],
}


@pytest.mark.parametrize("what", MOVED)
@pytest.mark.parametrize("scaling", ["zscore", "minmax"])
def test_inputs_are_scaled_in_float64_before_they_are_rounded(what: str, scaling: str) -> None:
    """cases/data_kinds.yaml: against numpy in float64, on every part; rounded first, timestamps lose all of it."""
    inputs = MOVED[what]
    trial = config(stored(inputs), scaling=scaling)
    data, parts = packed(trial), split(trial.task, torch.from_numpy(Y), 0)
    train = inputs[parts.train.numpy()]
    if scaling == "zscore":
        expected = (inputs - train.mean(0)) / train.std(0)
    else:
        expected = (inputs - train.min(0)) / (train.max(0) - train.min(0))
    for part in ("train", "validation", "test"):
        index = getattr(data, part)
        seen = data.take(index)[0].flatten(2)[0]
        assert seen.dtype == torch.float32
        np.testing.assert_allclose(seen.numpy(), expected[index[0].numpy()], atol=3e-6)


def test_every_seed_is_scaled_by_its_own_training_part() -> None:
    facts = stored(MOVED["timestamps"])
    data = packed(config(facts, 3), config(facts, 4))
    for lane in range(2):
        seen = data.take(data.train)[0][lane].double().flatten(1)
        torch.testing.assert_close(seen.mean(0), torch.zeros(12).double(), atol=1e-6, rtol=0)
        torch.testing.assert_close(seen.std(0, correction=0), torch.ones(12).double(), atol=1e-6, rtol=0)


def test_what_never_varies_becomes_0() -> None:
    """Also where sums of it are rounded."""
    inputs = VEC.copy()
    inputs[:, 0], inputs[:, 1] = 0.1, 1e9 / 3
    data = packed(config(stored(inputs)))
    assert not data.take(data.train)[0].flatten(2)[..., :2].any()


def test_equal_problems_are_learned_equally() -> None:
    """Moved and multiplied, z-scores are the same, and so are the errors of five seeds."""
    errors = {}
    for what in ("float64", "timestamps", "huge", "tiny"):
        facts = stored(MOVED[what])
        ends = train_pack([config(facts, seed) for seed in range(5)])
        errors[what] = [end.summary.metrics["test_error"] for end in ends if isinstance(end, LaneFinished)]
    assert all(found == errors["float64"] for found in errors.values()), errors
    assert max(errors["float64"]) < 0.3


def test_raw_inputs_and_whitened_ones() -> None:
    """`none` is the number, rounded; whitening takes float64."""
    facts = stored(MOVED["timestamps"])
    data = packed(config(facts, scaling="none"))
    raw = torch.from_numpy(MOVED["timestamps"])[data.test[0]].float()
    assert torch.equal(data.take(data.test)[0].flatten(2)[0], raw)
    white = packed(config(facts, scaling="zca", zca_epsilon=0.0))
    seen = white.take(white.train)[0].flatten(2)[0].double()
    assert white.inputs.dtype == torch.float32
    torch.testing.assert_close(seen.T.cov(correction=0), torch.eye(12).double(), atol=1e-5, rtol=0)


def test_a_shift_is_in_the_datasets_own_units() -> None:
    """x -> scale x + offset s, before anything is scaled: here a thousandth of the time since 1970."""
    inputs = MOVED["timestamps"]
    facts, shift = stored(inputs), {"scale": 1.001, "offset": 0.5}
    plain, moved = packed(config(facts)), packed(config(facts, shift=shift))
    parts = split(config(facts).task, torch.from_numpy(Y), 0)
    train, test = inputs[parts.train.numpy()], inputs[parts.test.numpy()]
    expected = (1.001 * test + 0.5 * inputs.std() - train.mean(0)) / train.std(0)
    np.testing.assert_allclose(moved.take(moved.test)[0].flatten(2)[0].numpy(), expected, rtol=1e-5)
    assert torch.equal(plain.take(plain.train)[0], moved.take(moved.train)[0])


def test_psnr_is_in_the_datasets_own_units() -> None:
    """Of an autoencoder: whether float64 was needed to hold the inputs or not."""
    images = np.random.default_rng(1).integers(0, 255, (N, 1, 4, 4)).astype(np.float64)
    model = {"kind": "autoencoder", "depth": 1, "width": 8, "bottleneck": 4}
    found = []
    for inputs in (images, images + 2.0**-30):
        facts = stored(inputs)
        assert packed(config(facts, model=model)).value_range == pytest.approx(images.max() - images.min())
        *_, end = train_pack([config(facts, model=model)])
        assert isinstance(end, LaneFinished)
        found.append(end.summary.metrics["psnr"])
    assert found[0] == pytest.approx(found[1], abs=0.05) and 5 < found[0] < 40


def test_an_old_address_still_means_the_rounded_numbers() -> None:
    """What was added while float64 was kept as float32 trains as it did, under its address."""
    arrays = DatasetArrays(inputs=VEC[:, :, None, None], labels=Y)
    old, new = arrays.rounded().sha256(), arrays.sha256()
    assert old != new
    shelf = Shelf()
    content = arrays.written(compressed=False)
    shelf.put(old, content)
    shelf.put(new, content)
    facts = arrays.facts()
    rounded = shelf.get(facts.model_copy(update={"sha256": old})).inputs
    assert rounded.dtype == torch.float32 and shelf.get(facts).inputs.dtype == torch.float64
    assert torch.equal(rounded, tensors(arrays.rounded()).inputs)
    with pytest.raises(InvalidInput, match="add the file again"):
        shelf.put("0" * 64, content)


OWN = [(0, 30), (20, 30), (20, 0)]


@pytest.mark.parametrize(("validation", "test"), OWN)
def test_a_split_of_its_own_is_used_in_place_of_one_that_is_drawn(validation: int, test: int) -> None:
    """The last examples as they stand, for every seed; fractions are of the others."""
    facts = stored(VEC, validation=validation, test=test)
    assert (facts.official_validation, facts.official_test) == (validation, test)
    task = config(facts).task
    rest = N - validation - test
    assert task.counts()[1:] == (validation or round(rest * 0.2), test or round(rest * 0.2))
    for seed in (0, 1):
        parts = split(task, torch.from_numpy(Y), seed)
        if test:
            assert torch.equal(parts.test, torch.arange(N - test, N))
        if validation:
            assert torch.equal(parts.validation, torch.arange(N - test - validation, N - test))
        together = torch.cat([parts.train, parts.validation, parts.test])
        assert torch.equal(together.sort().values, torch.arange(N))
        assert tuple(len(part) for part in (parts.train, parts.validation, parts.test)) == task.counts()


def test_a_trial_is_tested_on_the_part_that_people_gave() -> None:
    """Labels that are wrong there and nowhere else are all missed."""
    wrong = np.r_[Y[:-40], (Y[-40:] + 1) % 4]
    apart = np.eye(4)[Y] * 5.0 + 0.1 * VEC[:, :4]
    arrays = DatasetArrays(inputs=apart[:, :, None, None], labels=wrong, test=40)
    SHELF.put(arrays.sha256(), arrays.written(compressed=False))
    *_, end = train_pack([config(arrays.facts())])
    assert isinstance(end, LaneFinished)
    assert end.summary.metrics["test_error"] == 1.0 and end.summary.metrics["validation_accuracy"] == 1.0


def test_digests_of_datasets_without_a_split_are_as_they_were() -> None:
    """The document has no new field, and its digest is the one of before."""
    facts = StoredDataset(sha256="a" * 64, shape=(5, 1, 1), classes=2, examples=200)
    assert set(facts.model_dump(mode="json")) == {"sha256", "shape", "classes", "examples"}
    whole = TrialConfig(task=Task(dataset="mine", stored=facts))
    assert '"stored":{"classes":2,"examples":200,"sha256":"aaaa' in whole._identity()
    own = facts.model_copy(update={"official_test": 20})
    assert set(own.model_dump(mode="json")) - set(facts.model_dump(mode="json")) == {"official_test"}
    assert TrialConfig(task=Task(dataset="mine", stored=own)).digest() != whole.digest()
    assert StoredDataset.model_validate(own.model_dump(mode="json")) == own
