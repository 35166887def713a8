"""What the loaders return, for the embedded digits and for the official files where this machine has them."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from actinium.datasets.official import IDX_NAMES, default_root, present
from actinium.datasets.table import DATASETS
from actinium.errors import DatasetMissing, InvalidInput
from workers.datasets import load, standardize

FIRST_LABELS = {
    "digits": ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], None),
    "digits_0_4": ([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], None),
    "digits_5_9": ([0, 1, 2, 3, 4, 0, 1, 2, 3, 4], None),
    "sequential_digits": ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], None),
    "permuted_digits": ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], None),
    "mnist": ([5, 0, 4, 1, 9, 2, 1, 3, 1, 4], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]),
    "fashion_mnist": ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]),
    "cifar10": ([6, 9, 9, 4, 1, 1, 2, 7, 8, 3], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]),
}
EXAMPLES_PER_CLASS = {
    "digits": [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    "digits_0_4": [178, 182, 177, 183, 181],
    "digits_5_9": [182, 181, 179, 174, 180],
    "sequential_digits": [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    "permuted_digits": [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    "mnist": [6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958],
    "fashion_mnist": [7000] * 10,
    "cifar10": [6000] * 10,
}
PIXEL_MEANS = {"mnist": [0.1309], "fashion_mnist": [0.2861], "cifar10": [0.4919, 0.4826, 0.4472]}
"""Of all examples, in units of 255, to 1e-3."""


@pytest.mark.parametrize("name", [name for name, definition in DATASETS.items() if not definition.generated()])
def test_a_dataset_is_what_its_definition_says(name: str) -> None:
    root = default_root()
    if not present(name, root):
        pytest.skip(f"{name} is not under {root}: run `actinium data fetch {name}` to test it too")
    arrays, definition = load(name), DATASETS[name]
    assert arrays.inputs.shape == (definition.examples, *definition.shape)
    assert (arrays.inputs.dtype, arrays.labels.dtype) == (torch.float32, torch.int64)
    train_labels, test_labels = FIRST_LABELS[name]
    assert arrays.labels[:10].tolist() == train_labels
    if test_labels:
        assert arrays.labels[definition.examples - definition.official_test :][:10].tolist() == test_labels
    assert arrays.labels.bincount().tolist() == EXAMPLES_PER_CLASS[name]
    if name in PIXEL_MEANS:
        means = arrays.inputs.mean((0, 2, 3), dtype=torch.float64) / 255
        np.testing.assert_allclose(means, PIXEL_MEANS[name], atol=1e-3)
    assert load(name) is arrays, "a process reads a dataset once"


def test_the_first_digit_is_the_one_in_the_source() -> None:
    first = load("digits").inputs[0, 0]
    assert first[:2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert load("digits").inputs.sum().item() == 561_718


def test_the_halves_of_the_digits_are_the_digits() -> None:
    """Every image once, under its own digit, in the order of the whole."""
    whole, low, high = load("digits"), load("digits_0_4"), load("digits_5_9")
    for half, first in ((low, 0), (high, 5)):
        chosen = (whole.labels >= first) & (whole.labels < first + 5)
        assert torch.equal(half.inputs, whole.inputs[chosen])
        assert torch.equal(half.labels + first, whole.labels[chosen])


def test_a_dataset_that_is_not_known_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match="did you mean digits"):
        load("digit")


@pytest.mark.parametrize(("name", "file"), [("mnist", "t10k-labels-idx1-ubyte"), ("cifar10", "data_batch_3.bin")])
def test_missing_files_are_named_with_the_folder_and_the_mend(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing) as caught:
        load(name, tmp_path)
    for part in (str(tmp_path / name), file, f"actinium data fetch {name}", "ACTINIUM_DATA"):
        assert part in str(caught.value)


def test_only_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    for number in (1, 2, 4, 5):
        (tmp_path / "cifar10" / f"data_batch_{number}.bin").touch()
    with pytest.raises(DatasetMissing, match=r"data_batch_3.bin, test_batch.bin missing"):
        load("cifar10", tmp_path)


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    """An IDX file's bytes, written independently of the reader."""
    header = bytes([0, 0, kind, values.ndim]) + b"".join(struct.pack(">I", size) for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


@pytest.fixture
def mnist_folder(tmp_path: Path) -> Path:
    """A folder with four official-looking files whose pixels and labels are known; images gzipped."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        pixels = np.zeros((count, 28, 28), np.uint8)
        pixels[:, 3, 5] = np.arange(count) % 251
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels), compresslevel=1))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 10))
    return folder


def test_idx_files_are_read_plain_and_gzipped_training_part_first(mnist_folder: Path) -> None:
    arrays = load("mnist", mnist_folder.parent)
    assert arrays.inputs[[1, 252, 60_001], 0, 3, 5].tolist() == [1.0, 1.0, 1.0]
    assert arrays.inputs[250, 0, 3, 5].item() == 250.0
    assert arrays.labels[59_999:60_003].tolist() == [9, 0, 1, 2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (idx(np.zeros(60_000), kind=13), "magic 0x00000d01"),
        (idx(np.zeros(59_999)), r"dimensions \(59999,\)"),
        (idx(np.zeros(60_000))[:-1], "60007 bytes instead of 60008"),
        (idx(np.zeros(60_000)) + b"x", "60009 bytes instead of 60008"),
        (b"\0\0", "too few"),
        (b"", "too few"),
    ],
)
def test_a_corrupt_idx_file_is_refused_by_name(mnist_folder: Path, content: bytes, says: str) -> None:
    file = mnist_folder / IDX_NAMES[1]
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=says) as caught:
        load("mnist", mnist_folder.parent)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("keep", [0, 20, 1000])
def test_a_cut_off_gzip_file_is_refused_by_name(mnist_folder: Path, keep: int) -> None:
    file = mnist_folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:keep] or b"<html>")
    with pytest.raises(InvalidInput, match=r"train-images-idx3-ubyte\.gz: not a whole gzip file"):
        load("mnist", mnist_folder.parent)


def cifar_record(label: int, red: int, green: int, blue: int) -> bytes:
    """One record of the binary version."""
    return bytes([label]) + bytes([red]) * 1024 + bytes([green]) * 1024 + bytes([blue]) * 1024


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"])
def test_cifar_records_are_label_then_planes(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True)
    for number, file in enumerate([*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]):
        (tmp_path / folder / file).write_bytes(cifar_record(number, 10 * number, 2, 3) * 10_000)
    arrays = load("cifar10", tmp_path)
    assert arrays.labels[[0, 9_999, 10_000, 59_999]].tolist() == [0, 0, 1, 5]
    assert arrays.inputs[45_000, :, 31, 0].tolist() == [40.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("content", "says"),
    [(cifar_record(1, 0, 0, 0) * 9_999, "instead of 30730000"), (cifar_record(11, 0, 0, 0) * 10_000, "label 11")],
)
def test_a_corrupt_cifar_file_is_refused_by_name(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    for file in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        (tmp_path / "cifar10" / file).write_bytes(cifar_record(1, 0, 0, 0) * 10_000)
    (tmp_path / "cifar10" / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(InvalidInput, match=says) as caught:
        load("cifar10", tmp_path)
    assert "data_batch_2.bin" in str(caught.value)


def test_digits_are_scaled_per_pixel_and_constant_pixels_become_zero() -> None:
    inputs, train = load("digits").inputs, torch.arange(0, 1797, 2)
    mean, std = standardize(inputs, train, "input")
    assert mean.shape == std.shape == (1, 1, 8, 8)
    scaled = ((inputs - mean) / std)[train].double()
    constant = inputs[train].amax(0) == inputs[train].amin(0)
    assert constant.any(), "the corner pixels never vary"
    np.testing.assert_allclose(scaled.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(0, correction=0)[~constant], 1.0, atol=1e-5)
    assert (scaled[:, constant] == 0.0).all()


def test_images_are_scaled_per_colour_channel_with_the_training_part_only() -> None:
    inputs = torch.rand(5000, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 255
    inputs[:, 1] = inputs[:, 1] / 10 + 100
    inputs[:, 2] = 0.1
    train = torch.arange(4500)
    inputs[4500:] = 1e6
    mean, std = standardize(inputs, train, "channel")
    assert mean.shape == std.shape == (1, 3, 1, 1)
    expected = inputs[train].numpy().astype(np.float64)
    np.testing.assert_allclose(mean.flatten(), expected.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(std.flatten()[:2], expected.std((0, 2, 3))[:2], rtol=1e-6)
    assert std.flatten()[2] == 1.0, "a channel that never varies"
