"""A dataset as a file: an .npz of two arrays, `inputs` [N, C, H, W] or [N, D], and `labels` [N], or `targets` [N] that
are numbers to predict.

A file comes from outside and is not trusted: nothing is unpickled, and nothing is inflated before its size is known
from the headers and accepted. Legend: N examples, C channels, H height, W width, D features.
"""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from actinium.datasets.table import Shape, StoredDataset
from actinium.errors import FieldError, InvalidInput, TooLarge

MEMBERS = (("inputs", "labels"), ("inputs", "targets"))
"""What a file may hold."""
MEND = "write it with numpy.savez(FILE, inputs=..., labels=...), or targets=... for numbers to predict"
FEWEST_EXAMPLES = 10
MOST_CLASSES = 10_000
CHUNK_BYTES = 2**23
LARGEST_DIRECTORY = 2**16
"""Bytes of a zip's table of contents; two entries need some 200."""
END_OF_DIRECTORY, ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
BROKEN = (
    zipfile.BadZipFile,
    ValueError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    OSError,
)
"""What reading a damaged, encrypted or strangely compressed zip raises."""


@dataclass(frozen=True, kw_only=True)
class DatasetArrays:
    """What networks see: `inputs` [N, C, H, W] float32 as given, not scaled; `labels` [N] int64 from 0, or `targets`
    [N] float32, and labels that are all 0.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32] | None = None

    def facts(self) -> StoredDataset:
        """Content address, shape, classes and size."""
        examples, channels, height, width = self.inputs.shape
        return StoredDataset(
            sha256=self.sha256(),
            shape=(channels, height, width),
            classes=int(self.labels.max()) + 1 if self.targets is None else 0,
            examples=examples,
        )

    def sha256(self) -> str:
        """SHA-256 over shape, inputs and labels, or targets, in little-endian order: equal numbers are one dataset,
        whatever their type or the file's compression.
        """
        digest = hashlib.sha256(repr(self.inputs.shape).encode())
        digest.update(np.ascontiguousarray(self.inputs, "<f4").data)
        if self.targets is None:
            digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        else:
            digest.update(b"targets")
            digest.update(np.ascontiguousarray(self.targets, "<f4").data)
        return digest.hexdigest()

    def label_counts(self) -> list[int]:
        """Examples of each class; none where targets are numbers."""
        return [] if self.targets is not None else [int(count) for count in np.bincount(self.labels)]


def read_dataset(content: bytes, *, most_bytes: int) -> DatasetArrays:
    """The arrays of an .npz file.

    `most_bytes` bounds them as float32 inputs. Raises TooLarge past that, and InvalidInput with a fault for each
    thing that is wrong, at `inputs`, `labels`, `targets` or the file as a whole (path "").
    """
    with _opened(content) as archive:
        learned = "targets" if "targets.npy" in archive.namelist() else "labels"
        headers = {name: _header(archive, name) for name in ("inputs", learned)}
        shape = _accepted(headers, learned, most_bytes=most_bytes)
        inputs = _inputs(archive, headers["inputs"], shape)
        if learned == "labels":
            return DatasetArrays(inputs=inputs, labels=_labels(archive, headers["labels"]))
        targets = _targets(archive, headers["targets"])
    return DatasetArrays(inputs=inputs, labels=np.zeros(len(targets), dtype=np.int64), targets=targets)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an .npy member says of itself, and where its data begins."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[np.generic]
    offset: int

    def elements(self) -> int:
        """How many there are."""
        count = 1
        for size in self.shape:
            count *= size
        return count


def refusal(path: str, message: str) -> InvalidInput:
    """One fault of the file."""
    return InvalidInput("the dataset is not accepted", [FieldError(path, message)])


@contextmanager
def _opened(content: bytes) -> Iterator[zipfile.ZipFile]:
    """The archive, its table of contents known to be small before it is read."""
    end = content.rfind(END_OF_DIRECTORY, -65_557)
    if end < 0 or len(content) < end + 22:
        raise refusal("", f"not an .npz file (a zip archive); {MEND}")
    (directory,) = struct.unpack_from("<L", content, end + 12)
    if directory > LARGEST_DIRECTORY or content[max(0, end - 20) : end].startswith(ZIP64_LOCATOR):
        raise refusal("", f"the archive lists more than the two arrays inputs and labels; {MEND}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = sorted(archive.namelist())
            wanted = [[f"{name}.npy" for name in members] for members in MEMBERS]
            if found not in wanted:
                shown = ", ".join(name[:40] for name in found[:10]) or "nothing"
                raise refusal("", f"holds {shown}; it must hold {' and '.join(wanted[0])} once each; {MEND}")
            yield archive
    except BROKEN as error:
        raise refusal("", f"the archive is damaged ({str(error)[:120] or type(error).__name__}); {MEND}") from error


def _header(archive: zipfile.ZipFile, name: str) -> Header:
    """The header of a member; its size must be what the header says."""
    information = archive.getinfo(f"{name}.npy")
    with archive.open(information) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }.get(version)
            if read is None:
                raise ValueError(f"version {version} of the format")
            shape, fortran_order, dtype = read(stream)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
            raise refusal(name, f"no array in numpy's format ({str(error)[:120]}); {MEND}") from error
        offset = stream.tell()
    if dtype.hasobject or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise refusal(name, f"has the type {str(dtype)[:40]}; give numbers of at most 8 bytes, e.g. float32 or uint8")
    if any(size < 0 for size in shape):
        raise refusal(name, f"has the impossible shape {shape}; {MEND}")
    header = Header(shape=shape, fortran_order=bool(fortran_order), dtype=dtype, offset=offset)
    if information.file_size != offset + header.elements() * dtype.itemsize:
        raise refusal(name, f"has not the size that its shape {shape} of {dtype} needs; {MEND}")
    return header


def _accepted(headers: dict[str, Header], learned: str, *, most_bytes: int) -> tuple[int, int, int, int]:
    """The inputs' shape as [N, C, H, W], when shapes and sizes fit."""
    inputs, labels = headers["inputs"], headers[learned]
    if len(inputs.shape) not in (2, 4):
        raise refusal("inputs", f"has the shape {inputs.shape}; give [N, C, H, W] for images or [N, D] for vectors")
    if 0 in inputs.shape:
        raise refusal("inputs", f"has the shape {inputs.shape}, which holds nothing; give at least one of each")
    examples = inputs.shape[0]
    needed = max(inputs.elements() * 4, inputs.elements() * inputs.dtype.itemsize)
    if needed > most_bytes:
        raise TooLarge(
            f"inputs of shape {inputs.shape} are {needed} bytes as float32, more than the {most_bytes} that are "
            "accepted; give fewer or smaller examples"
        )
    if labels.shape != (examples,):
        one = learned.removesuffix("s")
        raise refusal(learned, f"has the shape {labels.shape}; give one {one} for each of the {examples} inputs")
    if learned == "labels" and labels.dtype.kind not in "iu":
        mend = "give integers, the classes counted from 0; numbers to predict are called targets"
        raise refusal("labels", f"has the type {labels.dtype}; {mend}")
    if examples < FEWEST_EXAMPLES:
        raise refusal("inputs", f"{examples} examples; give at least {FEWEST_EXAMPLES}")
    shape = inputs.shape if len(inputs.shape) == 4 else (*inputs.shape, 1, 1)
    return shape[0], shape[1], shape[2], shape[3]


def _inputs(archive: zipfile.ZipFile, header: Header, shape: Shape | tuple[int, int, int, int]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        values = _read(archive, "inputs", header).astype(np.float32)
    finite = np.isfinite(values.reshape(values.shape[0], -1)).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise refusal(
            "inputs", f"holds NaN, infinity or more than float32 can hold, first in example {first}; clean or scale it"
        )
    return values.reshape(shape)


def _targets(archive: zipfile.ZipFile, header: Header) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # as for inputs
        values = _read(archive, "targets", header).astype(np.float32)
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise refusal("targets", f"NaN, infinity or more than float32 can hold for example {first}; clean or scale it")
    if values.min() == values.max():
        raise refusal("targets", f"all are {values[0]:g}; there is nothing to learn")
    return values


def _labels(archive: zipfile.ZipFile, header: Header) -> NDArray[np.int64]:
    values = _read(archive, "labels", header)
    low, high = int(values.min()), int(values.max())
    if low < 0:
        where = int(np.argmin(values))
        raise refusal("labels", f"{low} for example {where}; count the classes from 0")
    if high >= MOST_CLASSES:
        where = int(np.argmax(values))
        raise refusal("labels", f"{high} for example {where}; at most {MOST_CLASSES} classes are accepted, from 0")
    labels = values.astype(np.int64)
    counts = np.bincount(labels)
    if len(counts) < 2:
        raise refusal("labels", "there is only the class 0; give at least two classes")
    if not counts.all():
        missing = int(np.argmin(counts))
        raise refusal("labels", f"no example of class {missing}, though {high} occurs; count the classes without gaps")
    return labels


def _read(archive: zipfile.ZipFile, name: str, header: Header) -> NDArray[np.generic]:
    """The array as its header says; never more bytes than that."""
    size = header.elements() * header.dtype.itemsize
    buffer = bytearray(size)
    with archive.open(f"{name}.npy") as stream:
        _skip(stream, header.offset)
        done = 0
        while done < size:
            block = stream.read(min(CHUNK_BYTES, size - done))
            if not block:
                raise refusal(name, f"ends after {done} of {size} bytes; {MEND}")
            buffer[done : done + len(block)] = block
            done += len(block)
        stream.read(1)  # the end, where the checksum is compared
    flat = np.frombuffer(buffer, dtype=header.dtype)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def _skip(stream: IO[bytes], count: int) -> None:
    while count:
        count -= len(stream.read(count)) or count
