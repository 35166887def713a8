"""People's files, in the forms that they have them: what stands where in an .npz, and what was recognized, in words.

Nothing is guessed in silence: what was recognized is said, and what cannot be told is asked by a refusal that names the
option to give. CSV and Parquet files come here as arrays (`actinium.datasets.tabular`). Legend: N examples.
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from actinium.datasets import labels as label_forms
from actinium.datasets import layouts
from actinium.datasets.archive import LONGEST_TEXT, MEND, Header, opened, read_array, read_header, refusal
from actinium.datasets.file import FEWEST_EXAMPLES, DatasetArrays, check_parts, check_size, finite_inputs
from actinium.datasets.labels import Learned
from actinium.datasets.layouts import LayoutName
from actinium.datasets.said import OwnSplit, Recognized, sentences
from actinium.errors import TooLarge
from actinium.objectives import ObjectiveName

INPUTS = ("inputs", "input", "x", "data", "images", "image", "features")
LEARNED = ("labels", "label", "y", "target", "targets", "class")
PARTS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
"""Words by which the arrays of an .npz are known, in small letters: `inputs`, `X`; `x_train`, `train_images`."""

PART_WORDS = {word: part for part, words in PARTS.items() for word in words}
MOST_MEMBERS = 100


class Wishes(BaseModel):
    """What somebody who adds a dataset says of it, where the file does not: options of `data add`."""

    model_config = ConfigDict(frozen=True)

    layout: LayoutName | None = None
    objective: ObjectiveName | None = None
    label: str | None = None
    """The column of a table that is to be learned."""


NO_WISHES = Wishes()


@dataclass(frozen=True, kw_only=True)
class ArchiveParts:
    """Where an .npz has what: by part ("" for a whole), the names of the inputs and of what is to be learned."""

    parts: Mapping[str, tuple[str, str]]
    split: str | None
    unused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Recognition:
    """A dataset from somebody's file: its arrays, what is to be said of them, and whether the file itself is in the
    service's own form.
    """

    arrays: DatasetArrays
    recognized: Recognized
    own_form: bool


def recognize(content: bytes, *, most_bytes: int, wishes: Wishes = NO_WISHES) -> Recognition:
    """The dataset that an .npz means. TooLarge and InvalidInput as `read_dataset` raises them."""
    with opened(content) as archive:
        found = _found(archive)
        headers = {
            part: (read_header(archive, inputs), read_header(archive, learned, text=True))
            for part, (inputs, learned) in found.parts.items()
        }
        _check(found, headers, most_bytes=most_bytes)
        (first, _), (header, _) = next(iter(found.parts.values())), next(iter(headers.values()))
        layout = layouts.recognized(first, header.shape, header.dtype, wishes.layout)
        inputs = [
            layout.arranged(finite_inputs(name, read_array(archive, name, headers[part][0])))
            for part, (name, _) in found.parts.items()
        ]
        values = [read_array(archive, name, headers[part][1]) for part, (_, name) in found.parts.items()]
        parts = None if found.split is None else _parts_of(archive, found.split, headers[""][0].shape[0])
    learned = _learned(found, values, wishes.objective)
    counts = [len(array) for array in inputs]
    order: NDArray[np.intp] | None = None
    if parts is not None:
        order = np.argsort(parts, kind="stable")
        counts = [int(count) for count in np.bincount(parts, minlength=len(PARTS))]
    elif "" not in found.parts:
        counts = [counts[list(found.parts).index(part)] if part in found.parts else 0 for part in PARTS]
    else:
        counts = [counts[0], 0, 0]
    check_parts(*counts)
    own_form = (
        list(found.parts.values()) in ([("inputs", "labels")], [("inputs", "targets")])
        and not (found.split or found.unused)
        and layout.name in ("ND", "NCHW")
        and values[0].ndim == 1
        and (learned.targets is not None or (learned.form == "integers" and not learned.names))
    )
    arrays = _arrays(inputs, learned, order, counts)
    recognized = Recognized(
        layout=layout.name,
        stored_type=arrays.inputs.dtype.name,
        arrays=[name for pair in found.parts.values() for name in pair],
        unused=list(found.unused),
        label_form="numbers" if arrays.targets is not None else learned.form,
        label_names=list(learned.names),
        label_shift=learned.shift,
        split=OwnSplit(train=counts[0], validation=counts[1], test=counts[2]) if counts[1] or counts[2] else None,
        said=[],
    )
    said = sentences(recognized, arrays, layout, header.shape)
    return Recognition(arrays=arrays, recognized=recognized.model_copy(update={"said": said}), own_form=own_form)


def _found(archive: zipfile.ZipFile) -> ArchiveParts:
    """Which members are inputs, labels and parts, by their names."""
    members = archive.namelist()
    names = [member.removesuffix(".npy") for member in members if member.endswith(".npy")]
    if len(members) > MOST_MEMBERS or len(set(members)) != len(members):
        raise refusal("", f"holds {len(members)} members, or one twice; {MEND}")
    known: dict[str, dict[str, list[str]]] = {"inputs": {}, "learned": {}}
    for name in names:
        role, part = _role(name)
        if role:
            known[role].setdefault(part, []).append(name)
    for kind, by_part in known.items():
        for several in by_part.values():
            if len(several) > 1:
                what = "has the inputs" if kind == "inputs" else "is to be learned"
                raise refusal("", f"holds {' and '.join(several)}: which of them {what}? leave the other out")
    inputs, learned = known["inputs"], known["learned"]
    wanted = [part for part in ("train", "validation", "test") if part in inputs or part in learned]
    if "" in inputs and "" in learned and not wanted:
        parts = {"": (inputs[""][0], learned[""][0])}
    elif wanted and "train" in wanted and all(part in inputs and part in learned for part in wanted):
        parts = {part: (inputs[part][0], learned[part][0]) for part in wanted}
    else:
        shown = ", ".join(_shown(member) for member in members[:10]) or "nothing"
        raise refusal("", f"holds {shown}; it must hold inputs and labels, x and y, or x_train and y_train; {MEND}")
    used = {name for pair in parts.values() for name in pair}
    split = next((name for name in names if name.lower() == "split" and "" in parts), None)
    unused = tuple(_shown(member) for member in members if member.removesuffix(".npy") not in {*used, split})
    return ArchiveParts(parts=parts, split=split, unused=unused)


def _role(name: str) -> tuple[str, str]:
    """("inputs" or "learned", its part) of an array's name; two empty words for any other name."""
    words = name.lower().split("_")
    part = next((PART_WORDS[word] for word in words if word in PART_WORDS), "") if len(words) == 2 else ""
    rest = [word for word in words if word not in PART_WORDS] if part else words
    if len(rest) == 1 and rest[0] in INPUTS:
        return "inputs", part
    return ("learned", part) if len(rest) == 1 and rest[0] in LEARNED else ("", "")


def _check(found: ArchiveParts, headers: Mapping[str, tuple[Header, Header]], *, most_bytes: int) -> None:
    """Sizes and shapes of all parts together, before anything is inflated."""
    examples = 0
    first = next(iter(headers.values()))[0]
    for part, (inputs, learned) in headers.items():
        name, wanted = found.parts[part]
        if len(inputs.shape) != len(first.shape) or inputs.shape[1:] != first.shape[1:]:
            raise refusal(name, f"has the shape {inputs.shape}, and another part {first.shape}; give one shape")
        if learned.shape[:1] != inputs.shape[:1] or len(learned.shape) > 2 or 0 in learned.shape:
            one = "label" if wanted.lower().removesuffix("s") != "target" else "target"
            many = inputs.shape[0] if inputs.shape else 0
            raise refusal(wanted, f"has the shape {learned.shape}; give one {one} for each of the {many} inputs")
        examples += inputs.shape[0]
    widest = max((inputs.dtype for inputs, _ in headers.values()), key=lambda dtype: dtype.itemsize)
    check_size((examples, *first.shape[1:]), widest, most_bytes=most_bytes)
    label_bytes = sum(header.elements() * header.dtype.itemsize for _, header in headers.values())
    if label_bytes > most_bytes:
        fault = f"labels of {label_bytes} bytes, more than the {most_bytes} that are accepted; write them shorter"
        raise TooLarge(fault)
    if examples < FEWEST_EXAMPLES:
        raise refusal(next(iter(found.parts.values()))[0], f"{examples} examples; give at least {FEWEST_EXAMPLES}")


def _parts_of(archive: zipfile.ZipFile, name: str, examples: int) -> NDArray[np.intp]:
    """The place in PARTS of each example's part, by the word that stands for it; or of counts, as the service writes
    them.
    """
    header = read_header(archive, name, text=True)
    if header.dtype.kind in "iu" and header.shape == (len(PARTS),):
        counts = read_array(archive, name, header)
        if (counts < 0).any() or int(counts.sum()) != examples:
            raise refusal(name, f"{', '.join(map(str, counts))} are not the {examples} examples in sum")
        return np.repeat(np.arange(len(PARTS)), counts)
    accepted = ", ".join(word for words in PARTS.values() for word in words)
    if header.dtype.kind not in "US" or header.shape != (examples,):
        raise refusal(name, f"is {header.dtype} of shape {header.shape}; give one word an example: {accepted}")
    words = [
        (word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)).strip().lower()
        for word in read_array(archive, name, header).tolist()
    ]
    for number, word in enumerate(words):
        if word not in PART_WORDS:
            raise refusal(name, f"{word[:40]!r} for example {number} is no part; give one of {accepted}")
    places = {word: list(PARTS).index(part) for word, part in PART_WORDS.items()}
    return np.array([places[word] for word in words])


def _learned(found: ArchiveParts, values: list[NDArray[Any]], objective: ObjectiveName | None) -> Learned:
    names = [name for _, name in found.parts.values()]
    kinds = {"text" if array.dtype.kind in "US" else "numbers" for array in values}
    shapes = {array.shape[1:] if array.shape[1:] != (1,) else () for array in values}
    if len(kinds) > 1 or len(shapes) > 1:
        raise refusal(names[0], f"{' and '.join(names)} are of different kinds; write all parts alike")
    flat = [array.reshape(len(array)) if array.shape[1:] == (1,) else array for array in values]
    whole = flat[0] if len(flat) == 1 else np.concatenate(flat)
    plain = {name.lower().replace("train_", "").replace("_train", "") for name in names[:1]}
    return label_forms.recognized(names[0], plain.pop(), whole, objective)


def _arrays(
    inputs: list[NDArray[Any]], learned: Learned, order: NDArray[np.intp] | None, counts: list[int]
) -> DatasetArrays:
    """All parts as one, in `order` if there is one: training, validation, test."""
    whole = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
    labels, targets = learned.labels, learned.targets
    if order is not None and not np.array_equal(order, np.arange(len(order))):
        whole, labels = whole[order], labels[order]
        targets = None if targets is None else targets[order]
    return DatasetArrays(inputs=whole, labels=labels, targets=targets, validation=counts[1], test=counts[2])


def _shown(member: str) -> str:
    name = member.removesuffix(".npy")[:LONGEST_TEXT]
    return name if name.isprintable() else ascii(name)
