"""A dataset as the service keeps it: an .npz of `inputs` [N, C, H, W] or [N, D], and `labels` [N] from 0, or `targets`
[N] that are numbers to predict; with a split of its own also `split`, how many examples are training, validation and
test, in this order.

Files of other forms are brought into this one by `actinium.datasets.recognition`. Legend: N examples, C channels,
H height, W width, D features.
"""

import hashlib
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actinium.datasets.archive import MEND, Header, opened, read_array, read_header, refusal, written
from actinium.datasets.table import StoredDataset
from actinium.errors import TooLarge

MEMBERS = (("inputs", "labels"), ("inputs", "targets"))
"""What a file may hold, beside `split`."""
FEWEST_EXAMPLES = 10
FEWEST_OF_A_PART = 2
MOST_CLASSES = 10_000


@dataclass(frozen=True, kw_only=True)
class DatasetArrays:
    """A dataset's numbers: `inputs` [N, C, H, W] in the type in which they are stored, not scaled; `labels` [N] int64
    from 0, or `targets` [N] float32, and labels that are all 0. Of a split of its own, the last `test` examples are the
    test part, and the `validation` before them the validation part.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    targets: NDArray[np.float32] | None = None
    validation: int = 0
    test: int = 0

    @cached_property
    def floats(self) -> NDArray[np.float32] | NDArray[np.float64]:
        """The inputs in float32, where that holds every one of them exactly, else in float64."""
        single = self.inputs.astype(np.float32)
        if self.inputs.dtype.itemsize <= 2 or self.inputs.dtype == np.float32:
            return single
        double = self.inputs.astype(np.float64)
        return single if np.array_equal(single.astype(np.float64), double) else double

    def rounded(self) -> "DatasetArrays":
        """The dataset as it was kept before float64 was: every input rounded to float32."""
        return replace(self, inputs=self.inputs.astype(np.float32))

    def facts(self) -> StoredDataset:
        """Content address, shape, classes, size and own parts."""
        examples, channels, height, width = self.inputs.shape
        return StoredDataset(
            sha256=self.sha256(),
            shape=(channels, height, width),
            classes=int(self.labels.max()) + 1 if self.targets is None else 0,
            examples=examples,
            official_validation=self.validation,
            official_test=self.test,
        )

    def sha256(self) -> str:
        """SHA-256 over shape, inputs and labels, or targets, in little-endian order, and the split: equal numbers are
        one dataset, whatever their type or the file's compression.
        """
        floats = self.floats
        digest = hashlib.sha256(repr(self.inputs.shape).encode())
        if floats.dtype == np.float64:
            digest.update(b"float64")
        digest.update(np.ascontiguousarray(floats, floats.dtype.newbyteorder("<")).data)
        if self.targets is None:
            digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        else:
            digest.update(b"targets")
            digest.update(np.ascontiguousarray(self.targets, "<f4").data)
        if self.validation or self.test:
            digest.update(f"split {self.validation} {self.test}".encode())
        return digest.hexdigest()

    def label_counts(self) -> list[int]:
        """Examples of each class; none where targets are numbers."""
        return [] if self.targets is not None else [int(count) for count in np.bincount(self.labels)]

    def written(self, *, compressed: bool) -> bytes:
        """The file that `read_dataset` reads."""
        flat = self.inputs.shape[2:] == (1, 1)
        arrays: dict[str, NDArray[Any]] = {"inputs": self.inputs[:, :, 0, 0] if flat else self.inputs}
        arrays |= {"labels": self.labels} if self.targets is None else {"targets": self.targets}
        if self.validation or self.test:
            training = len(self.labels) - self.validation - self.test
            arrays["split"] = np.array([training, self.validation, self.test], dtype=np.int64)
        return written(arrays, compressed=compressed)


def read_dataset(content: bytes, *, most_bytes: int) -> DatasetArrays:
    """The arrays of a file in the service's own form.

    `most_bytes` bounds its inputs in memory. Raises TooLarge past that, and InvalidInput with a fault for each thing
    that is wrong, at `inputs`, `labels`, `targets`, `split` or the file as a whole (path "").
    """
    with opened(content) as archive:
        found = sorted(archive.namelist())
        wanted = [[f"{name}.npy" for name in members] for members in MEMBERS]
        if [name for name in found if name != "split.npy"] not in wanted or found.count("split.npy") > 1:
            shown = ", ".join(name[:40] for name in found[:10]) or "nothing"
            raise refusal("", f"holds {shown}; it must hold {' and '.join(wanted[0])} once each; {MEND}")
        learned = "targets" if "targets.npy" in found else "labels"
        headers = {name: read_header(archive, name) for name in ("inputs", learned)}
        shape = _accepted(headers, learned, most_bytes=most_bytes)
        inputs = finite_inputs("inputs", read_array(archive, "inputs", headers["inputs"])).reshape(shape)
        _, validation, test = _split(archive, shape[0]) if "split.npy" in found else (shape[0], 0, 0)
        values = read_array(archive, learned, headers[learned])
    if learned == "labels":
        return DatasetArrays(inputs=inputs, labels=_labels(values), validation=validation, test=test)
    targets = finite_targets("targets", values)
    none = np.zeros(len(targets), dtype=np.int64)
    return DatasetArrays(inputs=inputs, labels=none, targets=targets, validation=validation, test=test)


def _accepted(headers: dict[str, Header], learned: str, *, most_bytes: int) -> tuple[int, int, int, int]:
    """The inputs' shape as [N, C, H, W], when shapes and sizes fit."""
    inputs, labels = headers["inputs"], headers[learned]
    if len(inputs.shape) not in (2, 4):
        raise refusal("inputs", f"has the shape {inputs.shape}; give [N, C, H, W] for images or [N, D] for vectors")
    if 0 in inputs.shape:
        raise refusal("inputs", f"has the shape {inputs.shape}, which holds nothing; give at least one of each")
    examples = inputs.shape[0]
    check_size(inputs.shape, inputs.dtype, most_bytes=most_bytes)
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


def check_size(shape: tuple[int, ...], dtype: np.dtype[Any], *, most_bytes: int) -> None:
    """TooLarge where inputs of this shape are."""
    elements = 1
    for size in shape:
        elements *= size
    needed = elements * max(4, dtype.itemsize)
    if needed > most_bytes:
        raise TooLarge(
            f"inputs of shape {shape} are {needed} bytes in memory, more than the {most_bytes} that are "
            "accepted; give fewer or smaller examples"
        )


def finite_inputs(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """The inputs, when each is a number that float32 can hold, at least rounded."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        single = values.astype(np.float32) if values.dtype.kind == "f" else values
    finite = np.isfinite(single.reshape(len(single), -1)).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise refusal(
            name, f"holds NaN, infinity or more than float32 can hold, first in example {first}; clean or scale it"
        )
    return values


def finite_targets(name: str, given: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers to predict, finite and not all the same."""
    with np.errstate(over="ignore"):  # as for inputs
        values = given.astype(np.float32)
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise refusal(name, f"NaN, infinity or more than float32 can hold for example {first}; clean or scale it")
    if values.min() == values.max():
        raise refusal(name, f"all are {values[0]:g}; there is nothing to learn")
    return values


def _labels(values: NDArray[Any]) -> NDArray[np.int64]:
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


def _split(archive: zipfile.ZipFile, examples: int) -> tuple[int, int, int]:
    header = read_header(archive, "split")
    if header.shape != (3,) or header.dtype.kind not in "iu":
        raise refusal("split", "give three integers: training, validation and test examples")
    training, validation, test = (int(count) for count in read_array(archive, "split", header))
    check_parts(training, validation, test)
    if training + validation + test != examples:
        raise refusal("split", f"{training}, {validation} and {test} are not the {examples} examples in sum")
    return training, validation, test


def check_parts(training: int, validation: int, test: int) -> None:
    """Refuses parts of a split that are too small; a part of 0 beside training is none, and is drawn."""
    for part, count in (("training", training), ("validation", validation), ("test", test)):
        if count < FEWEST_OF_A_PART and (count != 0 or part == "training"):
            many = "1 example" if count == 1 else f"{count} examples"
            raise refusal("split", f"the {part} part has {many}; give at least {FEWEST_OF_A_PART}")
