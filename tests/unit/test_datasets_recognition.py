"""Files as people have them: what each is taken for, what is said of it, and what is asked. The rows of the cases table
that are of data files, each with the right value.
"""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actinium.datasets.file import DatasetArrays, read_dataset
from actinium.datasets.layouts import LAYOUTS
from actinium.datasets.recognition import Recognition, Wishes, recognize
from actinium.errors import InvalidInput, TooLarge

N = 40
R = np.random.default_rng(0)
Y = (np.arange(N) % 4).astype(np.int64)
HWC = R.integers(0, 255, (N, 12, 10, 3)).astype(np.uint8)
CHW = np.ascontiguousarray(HWC.transpose(0, 3, 1, 2))
VEC = R.normal(size=(N, 6))
WORDS = np.array(["cat", "dog", "eel", "fox"])


def npz(**arrays: NDArray[Any]) -> bytes:
    """A file as numpy writes it; objects are pickled, as numpy does when it is let."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def understood(content: bytes, **wishes: Any) -> Recognition:
    """What is recognized; what is kept of it is read back as the same numbers."""
    found = recognize(content, most_bytes=10**7, wishes=Wishes(**wishes))
    kept = content if found.own_form else found.arrays.written(compressed=True)
    again = read_dataset(kept, most_bytes=10**7)
    assert again.sha256() == found.arrays.sha256() and again.facts() == found.arrays.facts()
    np.testing.assert_array_equal(again.inputs, found.arrays.inputs)
    return found


def said(found: Recognition) -> str:
    """All that is said of it."""
    return "\n".join(found.recognized.said)


def refused(content: bytes, **wishes: Any) -> dict[str, str]:
    """The faults, by path."""
    with pytest.raises(InvalidInput) as caught:
        recognize(content, most_bytes=10**7, wishes=Wishes(**wishes))
    return {fault.path: fault.message for fault in caught.value.errors}


SQUARE = R.normal(size=(N, 8, 8))
LAID_OUT: list[tuple[str, NDArray[Any], dict[str, Any], str, NDArray[Any]]] = [
    ("channels last", HWC, {}, "NHWC", CHW),
    ("channels first", CHW, {}, "NCHW", CHW),
    ("grey with a channel", HWC[..., :1], {}, "NHWC", CHW[:, :1]),
    ("four channels first", np.concatenate([CHW, CHW[:, :1]], 1), {}, "NCHW", np.concatenate([CHW, CHW[:, :1]], 1)),
    ("grey bytes", HWC[..., 0], {}, "NHW", CHW[:, :1]),
    ("grey square", SQUARE, {}, "NHW", SQUARE[:, None]),
    ("a sequence", SQUARE[:, :, :3], {}, "NTF", SQUARE[:, :, :3].transpose(0, 2, 1)[..., None]),
    ("vectors", VEC, {}, "ND", VEC[:, :, None, None]),
    ("numbers", VEC[:, 0], {}, "N", VEC[:, :1, None, None]),
    ("16 maps", R.normal(size=(N, 16, 8, 8)), {}, "NCHW", None),  # type: ignore[list-item]
    ("a small image", SQUARE[:, None, :4, :4], {}, "NCHW", SQUARE[:, None, :4, :4]),
    ("told: channels last", HWC[:, :3], {"layout": "NHWC"}, "NHWC", HWC[:, :3].transpose(0, 3, 1, 2)),
    ("told: channels first", HWC[:, :3], {"layout": "NCHW"}, "NCHW", HWC[:, :3]),
    ("told: a sequence", SQUARE, {"layout": "NTF"}, "NTF", SQUARE.transpose(0, 2, 1)[..., None]),
    ("told: features first", SQUARE[:, :5], {"layout": "NFT"}, "NFT", SQUARE[:, :5, :, None]),
]


@pytest.mark.parametrize(("what", "inputs", "wishes", "layout", "expected"), LAID_OUT, ids=[row[0] for row in LAID_OUT])
def test_a_layout_is_recognized_and_said(
    what: str, inputs: NDArray[Any], wishes: dict[str, Any], layout: str, expected: NDArray[Any] | None
) -> None:
    """cases/layout.yaml: uint8 [N, 32, 32, 3] was taken for 32 channels of 32x3, without a word."""
    found = understood(npz(inputs=inputs, labels=Y), **wishes)
    assert found.recognized.layout == layout and f"({layout})" in found.recognized.said[0]
    np.testing.assert_array_equal(found.arrays.inputs, inputs if expected is None else expected)
    assert found.recognized.stored_type == inputs.dtype.name == found.arrays.inputs.dtype.name


def test_the_same_pictures_are_one_dataset_however_they_are_laid_out() -> None:
    addresses = {understood(npz(inputs=images, labels=Y)).arrays.sha256() for images in (CHW, HWC)}
    assert len(addresses) == 1


ASKED: list[tuple[tuple[int, ...], tuple[str, ...]]] = [
    ((3, 10, 3), ("--layout NCHW (3 channels of 10x3)", "--layout NHWC (3 channels of 3x10)")),
    ((3, 20, 1), ("--layout NCHW (3 channels of 20x1)", "--layout NHWC (1 channel of 3x20)")),
    ((12, 12, 2), ("--layout NCHW (12 channels of 12x2)", "--layout NHWC (2 channels of 12x12)")),
    ((2, 10, 20), ("--layout NCHW", "--layout NHWC")),
    ((8, 8, 8), ("--layout NCHW", "--layout NHWC")),
    ((20, 9), ("--layout NHW (1 channel of 20x9)", "--layout NTF (20 time steps of 9 features)", "--layout NFT")),
    ((3, 20), ("--layout NHW", "--layout NFT (20 time steps of 3 features)")),
]


@pytest.mark.parametrize(("shape", "options"), ASKED)
def test_what_the_shape_cannot_tell_is_asked(shape: tuple[int, ...], options: tuple[str, ...]) -> None:
    """With the options, and what each would mean."""
    content = npz(x=np.ones((N, *shape)) * np.arange(N).reshape(N, *(1 for _ in shape)), y=Y)
    fault = refused(content)["x"]
    assert all(option in fault for option in options)
    for option in options:
        layout = option.split()[1]
        assert understood(content, layout=layout).recognized.layout == layout


def test_a_layout_that_cannot_be_is_refused() -> None:
    assert "which is not NTF; give NCHW or NHWC" in refused(npz(inputs=HWC, labels=Y), layout="NTF")["inputs"]
    assert "vectors have one layout" in refused(npz(inputs=VEC, labels=Y), layout="NHWC")["inputs"]
    assert "has 5 axes" in refused(npz(inputs=np.ones((N, 2, 2, 2, 2)), labels=Y))["inputs"]
    assert set(LAYOUTS) == {"N", "ND", "NHW", "NTF", "NFT", "NCHW", "NHWC"}


LABELED: list[tuple[str, NDArray[Any], str, list[str], int | None, str]] = [
    ("integers", Y, "integers", [], None, "4 classes (integers), from 0, examples by class 0: 10, 1: 10"),
    ("uint64", Y.astype(np.uint64), "integers", [], None, "from 0"),
    ("big-endian", Y.astype(">i4"), "integers", [], None, "from 0"),
    ("[N, 1]", Y[:, None], "integers", [], None, "from 0"),
    ("one-hot", np.eye(4)[Y], "one-hot", [], None, "4 classes (one-hot)"),
    ("one-hot bytes", np.eye(4, dtype=np.uint8)[Y], "one-hot", [], None, "4 classes (one-hot)"),
    ("from 1", Y + 1, "integers", ["1", "2", "3", "4"], 1, "from 1 to 4, shifted by -1: class 0 is the label 1"),
    ("as in SVHN", np.where(Y == 0, 10, Y), "integers", ["1", "2", "3", "10"], None, "are the labels 1: 10, 2: 10"),
    ("-1 and 1", np.where(Y > 1, 1, -1), "integers", ["-1", "1"], None, "are the labels -1: 20, 1: 20"),
    ("with a gap", np.where(Y == 2, 9, Y), "integers", ["0", "1", "3", "9"], None, "0: 10, 1: 10, 3: 10, 9: 10"),
    ("whole floats", Y.astype(np.float32), "whole numbers", [], None, "4 classes (whole numbers), from 0"),
    ("booleans", Y > 1, "booleans", [], None, "2 classes (booleans), from 0, examples by class 0: 20"),
    ("words", WORDS[Y], "words", list(WORDS), None, "the classes are cat: 10, dog: 10, eel: 10, fox: 10"),
    ("bytes", WORDS.astype("S")[Y], "words", list(WORDS), None, "the classes are cat: 10"),
    ("words [N, 1]", WORDS[::-1][Y][:, None], "words", list(WORDS), None, "the classes are cat: 10"),
]


@pytest.mark.parametrize(
    ("what", "labels", "form", "names", "shift", "words"), LABELED, ids=[row[0] for row in LABELED]
)
def test_labels_are_recognized_and_said(
    what: str, labels: NDArray[Any], form: str, names: list[str], shift: int | None, words: str
) -> None:
    """Classes are counted from 0 in the order of their numbers, or of the alphabet."""
    found = understood(npz(inputs=VEC, labels=labels))
    flat = labels.argmax(1) if form == "one-hot" else labels.reshape(N)
    np.testing.assert_array_equal(found.arrays.labels, np.unique(flat, return_inverse=True)[1])
    recognized = found.recognized
    assert (recognized.label_form, recognized.label_names, recognized.label_shift) == (form, names, shift)
    assert words in said(found) and found.arrays.targets is None


NUMBERS: list[tuple[str, dict[str, NDArray[Any]], dict[str, Any]]] = [
    ("targets", {"targets": VEC.sum(1)}, {}),
    ("targets [N, 1]", {"targets": VEC.sum(1, keepdims=True)}, {}),
    ("whole targets", {"targets": np.arange(N)}, {}),
    ("fractions called y", {"y": VEC.sum(1)}, {}),
    ("fractions called target", {"target": VEC.sum(1).astype(np.float32)}, {}),
    ("integers, told", {"y": Y}, {"objective": "regression"}),
    ("fractions called labels, told", {"labels": VEC[:, 0]}, {"objective": "regression"}),
]


@pytest.mark.parametrize(("what", "learned", "wishes"), NUMBERS, ids=[row[0] for row in NUMBERS])
def test_numbers_to_predict_are_recognized_and_said(
    what: str, learned: dict[str, NDArray[Any]], wishes: dict[str, Any]
) -> None:
    found = understood(npz(x=VEC, **learned), **wishes)
    (values,) = learned.values()
    assert found.arrays.targets is not None and found.arrays.facts().classes == 0
    np.testing.assert_array_equal(found.arrays.targets, values.reshape(N).astype(np.float32))
    assert f"numbers to predict, mean {values.mean():.4g}" in said(found)


def test_whole_targets_can_be_told_to_be_classes() -> None:
    assert understood(npz(x=VEC, targets=Y), objective="classification").arrays.facts().classes == 4


NAMES = [
    ({"inputs": VEC, "labels": Y}, True),
    ({"x": VEC, "y": Y}, False),
    ({"X": VEC, "y": Y}, False),
    ({"X": VEC, "Y": Y[:, None]}, False),
    ({"data": VEC, "target": Y}, False),
    ({"images": CHW, "labels": Y}, False),
    ({"features": VEC, "label": Y}, False),
]


@pytest.mark.parametrize(("arrays", "own"), NAMES, ids=["/".join(row[0]) for row in NAMES])
def test_arrays_are_known_by_their_names(arrays: dict[str, NDArray[Any]], own: bool) -> None:
    """The service's own form is kept as it came; every other is written anew."""
    found = understood(npz(**arrays))
    assert (found.recognized.arrays, found.own_form) == (list(arrays), own)
    np.testing.assert_array_equal(found.arrays.labels, Y)


def parts(*names: str, inputs: NDArray[Any] = HWC, labels: NDArray[Any] = Y) -> dict[str, NDArray[Any]]:
    """Arrays under these names, inputs and labels in turn: all, then 6 and 8 examples."""
    sizes = (slice(None), slice(6), slice(8))
    return {
        name: array[sizes[place]]
        for place in range(len(names) // 2)
        for name, array in zip(names[2 * place : 2 * place + 2], (inputs, labels), strict=True)
    }


SPLIT: list[tuple[dict[str, NDArray[Any]], tuple[int, int, int]]] = [
    (parts("x_train", "y_train", "x_test", "y_test"), (N, 0, 6)),
    (
        parts("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        (N, 6, 8),
    ),
    (parts("X_train", "Y_train", "X_val", "Y_val", labels=Y[:, None]), (N, 6, 0)),
    (parts("inputs_train", "labels_train", "inputs_dev", "labels_dev", "test_inputs", "test_labels"), (N, 6, 8)),
    (parts("x_train", "y_train", "x_valid", "y_valid", "x_test", "y_test", labels=WORDS[Y]), (N, 6, 8)),
]


@pytest.mark.parametrize(("arrays", "counts"), SPLIT, ids=["/".join(list(row[0])[::2]) for row in SPLIT])
def test_parts_are_a_split_of_the_datasets_own(arrays: dict[str, NDArray[Any]], counts: tuple[int, int, int]) -> None:
    """Keras' and MedMNIST's files: training, validation and test examples in this order, and said."""
    found = understood(npz(**arrays))
    facts, split = found.arrays.facts(), found.recognized.split
    assert split is not None and (split.train, split.validation, split.test) == counts
    assert (facts.examples, facts.official_validation, facts.official_test) == (sum(counts), *counts[1:])
    assert f"split: its own, {N} train" in said(found)
    expected = [CHW[:count] for count in (N, 6, 8)[: len(arrays) // 2]]
    np.testing.assert_array_equal(found.arrays.inputs, np.concatenate(expected))


def test_a_split_array_names_each_examples_part() -> None:
    """Words in any case; examples are put in order, each with its label."""
    words = np.array(["train"] * 20 + ["Test"] * 8 + ["val"] * 4 + ["training"] * 8)[np.argsort(np.arange(N) * 7 % N)]
    found = understood(npz(x=VEC, y=Y, split=words))
    lower = np.char.lower(words)
    order = np.concatenate([np.flatnonzero(np.char.startswith(lower, part)) for part in ("train", "val", "test")])
    np.testing.assert_array_equal(found.arrays.inputs[:, :, 0, 0], VEC[order])
    np.testing.assert_array_equal(found.arrays.labels, Y[order])
    assert (found.arrays.validation, found.arrays.test) == (4, 8)


def test_a_split_of_its_own_is_another_dataset() -> None:
    """It counts in the address: other parts are other numbers in every trial."""
    whole = understood(npz(x=VEC, y=Y)).arrays
    words = {count: np.array(["train"] * (N - count) + ["test"] * count) for count in (4, 8)}
    cut = [understood(npz(x=VEC, y=Y, split=word)).arrays for word in words.values()]
    assert len({arrays.sha256() for arrays in (whole, *cut)}) == 3
    np.testing.assert_array_equal(whole.inputs, cut[0].inputs)


def test_what_is_not_used_is_said() -> None:
    found = understood(npz(inputs=VEC, labels=Y, groups=Y))
    assert found.recognized.unused == ["groups"] and "not used: groups" in said(found)
    assert not found.own_form, "what is not used is not kept"


def test_what_is_worth_knowing_is_said() -> None:
    still = VEC.copy()
    still[:, 0] = 5.0
    assert "1 of 6 inputs never vary" in said(understood(npz(inputs=still, labels=Y)))
    assert "no input varies" in said(understood(npz(inputs=np.full((N, 6), 3.0), labels=Y)))
    rare = np.r_[np.arange(20), np.zeros(20, int)]
    assert "a single example, which is in one part alone: 19" in said(understood(npz(inputs=VEC, labels=rare)))
    unseen = {"x_train": VEC, "y_train": Y % 3, "x_test": VEC, "y_test": Y}
    assert "without a training example, which cannot be learned: 1" in said(understood(npz(**unseen)))
    assert "more than float32 holds: scaled in float64" in said(understood(npz(inputs=VEC, labels=Y)))
    assert "float64:" not in said(understood(npz(inputs=VEC.round(), labels=Y)))


OBJECTS = np.array(list(WORDS), dtype=object)[Y]
WRONG: list[tuple[str, bytes, str, str]] = [
    ("pickled labels", npz(inputs=VEC, labels=OBJECTS), "labels", "no pickle is opened; save .astype(str)"),
    ("pickled inputs", npz(inputs=OBJECTS, labels=Y), "inputs", "no pickle is opened; save .astype(float)"),
    ("fractions as labels", npz(inputs=VEC, labels=VEC[:, 0]), "labels", "--objective classification or"),
    ("neither", npz(inputs=VEC, y=np.arange(N)), "y", "40 different numbers for 40 examples: classes or numbers?"),
    ("soft labels", npz(inputs=VEC, labels=np.full((N, 2), 0.5)), "labels", "row 0 is not one-hot"),
    ("a class of nobody", npz(inputs=VEC, labels=np.eye(5)[Y]), "labels", "no example of class 4 of 5"),
    ("several targets", npz(inputs=VEC, targets=VEC[:, :3]), "targets", "3 numbers to predict for each example"),
    ("one class", npz(inputs=VEC, labels=Y * 0), "labels", "at least two classes"),
    ("one word", npz(inputs=VEC, labels=WORDS[Y * 0]), "labels", "there is only the class cat"),
    ("no word", npz(inputs=VEC, labels=np.where(Y == 2, "", WORDS[Y])), "labels", "'' for example 2 is no class"),
    ("control", npz(inputs=VEC, labels=np.where(Y == 1, "a\nb", WORDS[Y])), "labels", "can be printed"),
    ("not text", npz(inputs=VEC, labels=np.array([b"\xff", b"a"])[Y % 2]), "labels", "no text"),
    ("long words", npz(inputs=VEC, labels=np.array(["a" * 200, "b"])[Y % 2]), "labels", "has the type <U200"),
    ("missing", npz(inputs=VEC, labels=np.where(Y == 1, np.nan, Y)), "labels", "nan for example 1"),
    ("missing input", npz(inputs=np.where(Y[:, None] == 3, np.nan, VEC), labels=Y), "inputs", "in example 3"),
    ("complex", npz(inputs=VEC.astype(complex), labels=Y), "inputs", "has the type complex128"),
    ("too wide", npz(inputs=VEC.astype(np.longdouble), labels=Y), "inputs", "at most 8 bytes"),
    ("words as inputs", npz(inputs=WORDS[Y][:, None], labels=Y), "inputs", "has the type <U3"),
    ("three", npz(inputs=VEC[:3], labels=Y[:3]), "inputs", "3 examples; give at least 10"),
    ("too few labels", npz(x=VEC, y=Y[:-1]), "y", "one label for each of the 40 inputs"),
    ("no axis", npz(x=np.float64(3), y=Y), "y", "one label for each of the 0 inputs"),
    ("both", npz(inputs=VEC, labels=Y, targets=VEC[:, 0]), "", "labels and targets: which of them is to be learned?"),
    ("two inputs", npz(data=VEC, images=CHW, target=Y), "", "data and images: which of them has the inputs?"),
    ("no labels", npz(inputs=VEC), "", "holds inputs; it must hold inputs and labels, x and y, or x_train and y_train"),
    ("no training", npz(x_test=VEC, y_test=Y), "", "it must hold inputs and labels"),
    ("half a part", npz(x_train=VEC, y_train=Y, x_test=VEC), "", "it must hold inputs and labels"),
    ("another shape", npz(x_train=VEC, y_train=Y, x_test=VEC[:, :2], y_test=Y), "x_test", "another part (40, 6)"),
    ("other labels", npz(x_train=VEC, y_train=Y, x_test=VEC, y_test=WORDS[Y]), "y_train", "of different kinds"),
    ("one to test", npz(x_train=VEC, y_train=Y, x_test=VEC[:1], y_test=Y[:1]), "split", "the test part has 1 example"),
    ("all to test", npz(x=VEC, y=Y, split=np.array(["test"] * N)), "split", "the training part has 0 examples"),
    ("no part", npz(x=VEC, y=Y, split=WORDS[Y]), "split", "'cat' for example 0 is no part; give one of train"),
    ("parts by number", npz(x=VEC, y=Y, split=Y), "split", "give one word an example"),
    ("wrong counts", npz(inputs=VEC, labels=Y, split=np.array([10, 10, 10])), "split", "not the 40 examples"),
]


@pytest.mark.parametrize(("what", "content", "path", "words"), WRONG, ids=[row[0] for row in WRONG])
def test_what_cannot_be_told_is_refused_with_its_mend(what: str, content: bytes, path: str, words: str) -> None:
    found = refused(content)
    assert list(found) == [path] and words in found[path]


def test_words_are_bounded() -> None:
    """Sizes are judged by the headers of all arrays together, before anything is inflated."""
    content = npz(x=VEC, y=np.array(["a" * 100, "b" * 100])[Y % 2])
    with pytest.raises(TooLarge, match="labels of 16000 bytes, more than the 15999"):
        recognize(content, most_bytes=15_999)
    several = npz(x_train=VEC, y_train=Y, x_test=VEC, y_test=Y)
    with pytest.raises(TooLarge, match=r"inputs of shape \(80, 6\) are 3840 bytes"):
        recognize(several, most_bytes=3839)
    recognize(several, most_bytes=3840)


def test_many_members_are_refused() -> None:
    with pytest.raises(InvalidInput, match="holds 102 members"):
        recognize(npz(inputs=VEC, labels=Y, **{f"a{number}": Y for number in range(100)}), most_bytes=10**6)


def test_float64_keeps_what_float32_cannot_hold() -> None:
    """Equal numbers are one dataset whatever their type; numbers that differ below float32 are two."""
    times = 1.7e9 + 30 * np.arange(N, dtype=np.float64)[:, None] * np.ones(2)
    one, moved = (DatasetArrays(inputs=x[:, :, None, None], labels=Y) for x in (times, times + 1))
    assert one.floats.dtype == np.float64 and one.sha256() != moved.sha256()
    assert one.rounded().sha256() == moved.rounded().sha256(), "float32 cannot tell them apart"
    exact = DatasetArrays(inputs=VEC.astype(np.float32).astype(np.float64)[:, :, None, None], labels=Y)
    single = DatasetArrays(inputs=VEC.astype(np.float32)[:, :, None, None], labels=Y)
    assert exact.floats.dtype == np.float32 and exact.sha256() == single.sha256()
    seconds = DatasetArrays(inputs=times.astype(np.int64)[:, :, None, None], labels=Y)
    assert seconds.sha256() == one.sha256()
