"""A dataset's file, which comes from outside: what is accepted, and what is refused before it can do harm."""

import io
import struct
import zipfile
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actinium.datasets.archive import LARGEST_DIRECTORY
from actinium.datasets.file import read_dataset
from actinium.errors import InvalidInput, TooLarge

ROOM = 10**7
IMAGES = np.arange(12 * 3 * 2 * 4, dtype=np.uint8).reshape(12, 3, 2, 4)
LABELS = np.arange(12) % 3


def npz(compressed: bool = False, **arrays: NDArray[Any]) -> bytes:
    """A file as numpy writes it."""
    file = io.BytesIO()
    write: Any = np.savez_compressed if compressed else np.savez
    write(file, **arrays)
    return file.getvalue()


def zipped(**members: bytes) -> bytes:
    """An archive of any content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(shape: str, descr: str = "'|u1'", content: bytes = b"") -> bytes:
    """A member whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def saved(array: NDArray[Any]) -> bytes:
    """A member as numpy writes it."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_images_come_through_as_they_are(compressed: bool) -> None:
    """Shape, numbers, label counts."""
    arrays = read_dataset(npz(compressed, inputs=IMAGES, labels=LABELS), most_bytes=ROOM)
    assert arrays.inputs.dtype == np.uint8 and arrays.labels.dtype == np.int64
    assert arrays.floats.dtype == np.float32
    np.testing.assert_array_equal(arrays.inputs, IMAGES)
    np.testing.assert_array_equal(arrays.labels, LABELS)
    facts = arrays.facts()
    assert (facts.shape, facts.classes, facts.examples) == ((3, 2, 4), 3, 12)
    assert arrays.label_counts() == [4, 4, 4]


def test_vectors_are_channels_of_one_position() -> None:
    """[N, D] becomes [N, D, 1, 1], so that every feature is scaled by itself."""
    arrays = read_dataset(npz(inputs=np.ones((12, 5)), labels=LABELS), most_bytes=ROOM)
    assert arrays.inputs.shape == (12, 5, 1, 1)


def test_the_address_is_of_the_numbers_alone() -> None:
    """Type, byte order, memory order and compression do not count; shape, inputs, labels and their pairing do."""

    def address(inputs: NDArray[Any], labels: NDArray[Any] = LABELS, compressed: bool = False) -> str:
        return read_dataset(npz(compressed, inputs=inputs, labels=labels), most_bytes=ROOM).sha256()

    one = address(IMAGES)
    same = [
        address(IMAGES, compressed=True),
        address(IMAGES.astype(">f8")),
        address(np.asfortranarray(IMAGES.astype(np.float16))),
        address(IMAGES, LABELS.astype(">u2")),
    ]
    assert set(same) == {one}
    others = [
        address(IMAGES.reshape(12, 2, 3, 4)),
        address(IMAGES + np.uint8(1)),
        address(IMAGES, LABELS[::-1].copy()),
        address(IMAGES[::-1].copy()),
    ]
    assert len({one, *others}) == 5


def test_numbers_to_predict_come_through_as_they_are() -> None:
    """They are another dataset than labels that are equal; their type does not count."""
    arrays = read_dataset(npz(inputs=IMAGES, targets=LABELS / 4), most_bytes=ROOM)
    assert arrays.targets is not None and arrays.targets.dtype == np.float32
    np.testing.assert_array_equal(arrays.targets, LABELS / 4)
    facts = arrays.facts()
    assert (facts.classes, facts.definition("mine").objective, facts.definition("mine").targets) == (0, "regression", 1)
    assert (arrays.label_counts(), arrays.labels.tolist()) == ([], [0] * 12)
    addresses = {
        read_dataset(npz(inputs=IMAGES, **learned), most_bytes=ROOM).sha256()
        for learned in ({"labels": LABELS}, {"targets": LABELS}, {"targets": LABELS.astype(np.float16)})
    }
    assert len(addresses) == 2


def with_labels(labels: NDArray[Any]) -> bytes:
    """Good images with other labels."""
    return npz(inputs=IMAGES, labels=labels)


def with_inputs(inputs: NDArray[Any]) -> bytes:
    """Good labels with other inputs."""
    return npz(inputs=inputs, labels=LABELS)


NAN = np.where(np.arange(12)[:, None] == 7, np.nan, np.ones((12, 2)))


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        (b"", "", "not an .npz file"),
        (b"PK\x05\x06", "", "not an .npz file"),
        (saved(IMAGES), "", "not an .npz file"),
        (npz(images=IMAGES, labels=LABELS), "", "holds images.npy, labels.npy; it must hold inputs.npy"),
        (npz(inputs=IMAGES, labels=LABELS, weights=LABELS), "", "it must hold inputs.npy and labels.npy once each"),
        (npz(inputs=IMAGES, labels=LABELS)[100:], "", "damaged"),
        (npz(inputs=IMAGES, labels=LABELS).replace(IMAGES.tobytes(), IMAGES[::-1].tobytes()), "", "damaged"),
        (with_inputs(np.array([object()] * 12)), "inputs", "Object arrays|has the type object"),
        (with_inputs(np.ones((12, 2), dtype=np.complex64)), "inputs", "has the type complex64"),
        (with_inputs(np.array([["a", "b"]] * 12)), "inputs", "has the type <U1"),
        (with_inputs(np.zeros((12, 2), dtype=[("x", "f4")])), "inputs", "has the type"),
        (with_inputs(np.ones((12, 2, 2))), "inputs", r"\(12, 2, 2\); give \[N, C, H, W\]"),
        (with_inputs(np.ones((12, 0))), "inputs", "holds nothing"),
        (with_inputs(NAN), "inputs", "first in example 7"),
        (with_inputs(np.full((12, 2), 1e300)), "inputs", "more than float32 can hold"),
        (with_labels(LABELS[:-1]), "labels", "one label for each of the 12 inputs"),
        (with_labels(LABELS.astype(float)), "labels", "float64; give integers"),
        (with_labels(LABELS - 1), "labels", "-1 for example 0; count the classes from 0"),
        (with_labels(LABELS + 1), "labels", "no example of class 0, though 3 occurs"),
        (with_labels(LABELS * 5000), "labels", "10000 for example 2; at most 10000"),
        (with_labels(np.full(12, 2**64 - 1, dtype=np.uint64)), "labels", "18446744073709551615 for example 0"),
        (with_labels(LABELS * 0), "labels", "at least two classes"),
        (npz(inputs=IMAGES, labels=LABELS, targets=LABELS), "", "it must hold inputs.npy and labels.npy once each"),
        (npz(inputs=IMAGES, targets=LABELS[:-1]), "targets", "one target for each of the 12 inputs"),
        (npz(inputs=IMAGES, targets=np.where(LABELS == 2, np.inf, 1.0)), "targets", "for example 2"),
        (npz(inputs=IMAGES, targets=LABELS * 1e300), "targets", "more than float32 can hold for example 1"),
        (npz(inputs=IMAGES, targets=LABELS * 0.0 + 0.5), "targets", "all are 0.5"),
        (npz(inputs=IMAGES, targets=LABELS.astype(str)), "targets", "has the type <U"),
        (npz(inputs=IMAGES[:9], labels=LABELS[:9]), "inputs", "9 examples; give at least 10"),
        (zipped(inputs=b"nothing", labels=saved(LABELS)), "inputs", "no array in numpy's format"),
        (zipped(inputs=npy("__import__('os')"), labels=saved(LABELS)), "inputs", "no array in numpy's format"),
        (zipped(inputs=npy("(12, -2)"), labels=saved(LABELS)), "inputs", "impossible shape"),
        (zipped(inputs=npy("(12, 99)"), labels=saved(LABELS)), "inputs", "not the size that its shape"),
        (zipped(inputs=npy("(12, 1)", content=b"x" * 13), labels=saved(LABELS)), "inputs", "not the size"),
        (zipped(inputs=npy("(12, 1)", "'|O'", b"x" * 96), labels=saved(LABELS)), "inputs", "object"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, path: str, words: str) -> None:
    """Each fault at its path, with its mend."""
    with pytest.raises(InvalidInput, match=words) as caught:
        read_dataset(content, most_bytes=ROOM)
    assert [fault.path for fault in caught.value.errors] == [path]


def test_a_bomb_is_refused_by_its_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that would inflate to much is refused before anything but headers is inflated."""
    content = npz(True, inputs=np.zeros((4000, 1, 50, 50), dtype=np.uint8), labels=np.arange(4000) % 2)
    assert len(content) < 30_000
    most_read = []
    read = zipfile.ZipExtFile.read

    def watched(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        most_read.append(n)
        return read(self, n)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", watched)
    with pytest.raises(TooLarge, match="40000000 bytes in memory, more than the 39999999 that are accepted"):
        read_dataset(content, most_bytes=39_999_999)
    assert sum(n for n in most_read if n) < 1000
    assert read_dataset(content, most_bytes=40_000_000).facts().examples == 4000


def test_an_endless_table_of_contents_is_not_read() -> None:
    """Thousands of entries are refused by the directory's size; so is a directory that hides behind zip64."""
    many = zipped(**{f"entry_{number}": b"" for number in range(2000)})
    assert len(many) > LARGEST_DIRECTORY
    with pytest.raises(InvalidInput, match="lists more than a few arrays"):
        read_dataset(many, most_bytes=ROOM)
    good = npz(inputs=IMAGES, labels=LABELS)
    locator = b"PK\x06\x07" + bytes(16)
    with pytest.raises(InvalidInput, match="lists more than a few arrays"):
        read_dataset(good[:-22] + locator + good[-22:], most_bytes=ROOM)


def test_no_cut_of_a_file_is_taken_for_a_file() -> None:
    """However it is cut, and whichever byte of its archive is changed, it is refused or holds the same numbers."""
    good = npz(True, inputs=IMAGES, labels=LABELS)
    address = read_dataset(good, most_bytes=ROOM).sha256()
    for end in range(0, len(good), 7):
        with pytest.raises(InvalidInput):
            read_dataset(good[:end], most_bytes=ROOM)
    for place in range(0, len(good), 3):
        changed = good[:place] + bytes([good[place] ^ 0x41]) + good[place + 1 :]
        with suppress(InvalidInput, TooLarge):
            assert read_dataset(changed, most_bytes=ROOM).sha256() == address


STRANGE_HEADERS = {
    "brackets": "(" * 9_000,
    "brackets in the shape": "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 4_000 + ")" * 4_000 + "}",
    "a sign for each": "-" * 9_000 + "1",
    "a tuple for a type": "{'descr': ('<f4',), 'fortran_order': False, 'shape': (12, 2)}",
    "fields": "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (12, 2)}",
    "an open string": "{'descr': '<f4",
    "a huge number": "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 5_000 + ",)}",
    "words for sizes": "{'descr': '<f4', 'fortran_order': False, 'shape': ('12', 2)}",
    "truth for sizes": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2)}",
    "a key more": "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 2), 'x': 1}",
    "no mapping": "1",
    "null bytes": "\0" * 100,
    "nothing": "",
}


@pytest.mark.parametrize("header", STRANGE_HEADERS.values(), ids=list(STRANGE_HEADERS))
def test_no_header_breaks_the_reader(header: str) -> None:
    """numpy's own raises a dozen kinds of errors at these, one of them from the module that reads Python."""
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inputs.npy", member)
        archive.writestr("labels.npy", saved(LABELS))
    with pytest.raises(InvalidInput, match="no array in numpy's format"):
        read_dataset(file.getvalue(), most_bytes=ROOM)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["|u1", "<f4", ">f8", "<i2", ">i4", "|b1", "<f2"])
def test_what_numpy_writes_is_read(kind: str, order: Any) -> None:
    images = np.asarray(np.arange(24).reshape(12, 2) % 2, dtype=kind, order=order)
    arrays = read_dataset(npz(inputs=images, labels=LABELS), most_bytes=ROOM)
    np.testing.assert_array_equal(arrays.inputs[:, :, 0, 0], images)
