"""What was recognized of somebody's dataset, as it is kept with it and told."""

import numpy as np
from pydantic import BaseModel, ConfigDict

from actinium.datasets.file import DatasetArrays
from actinium.datasets.layouts import AxisLayout

FEW_NAMES = 12
"""Classes that are named one by one."""


class OwnSplit(BaseModel):
    """Examples of each part of a split of the dataset's own; 0: the part is drawn."""

    model_config = ConfigDict(frozen=True)

    train: int
    validation: int
    test: int


class Recognized(BaseModel):
    """How a dataset's file was understood.

    `layout`: the order of axes in the file. `arrays`: what was read, `unused` what was not. `label_form`: integers,
    whole numbers, booleans, words, one-hot, or numbers to predict. `label_names`: what the classes 0, 1, ... are called
    in the file, where that is not their number; `label_shift`: what was taken off them. `said`: all that in sentences,
    with what else is worth knowing.
    """

    model_config = ConfigDict(frozen=True)

    layout: str
    stored_type: str
    arrays: list[str]
    unused: list[str]
    label_form: str
    label_names: list[str]
    label_shift: int | None
    split: OwnSplit | None
    said: list[str]


def sentences(found: Recognized, arrays: DatasetArrays, layout: AxisLayout, shape: tuple[int, ...]) -> list[str]:
    """What a person should know of how the file was understood; `shape` is that of the inputs there."""
    exact = "" if arrays.floats.dtype == np.float32 else ", more than float32 holds: scaled in float64"
    said = [f"inputs: {layout.words} ({layout.name}), {layout.reading(shape)}, {found.stored_type}{exact}"]
    said.append(f"labels: {_labels(found, arrays)}")
    if found.split:
        counts = found.split.model_dump()
        parts = [f"{count:,} {part}" if count else f"no {part} (drawn)" for part, count in counts.items()]
        said.append(f"split: its own, {', '.join(parts)}")
    if found.unused:
        said.append(f"not used: {', '.join(found.unused[:FEW_NAMES])}")
    return said + _worth_knowing(arrays)


def _labels(found: Recognized, arrays: DatasetArrays) -> str:
    if arrays.targets is not None:
        mean, deviation = float(arrays.targets.mean()), float(arrays.targets.std())
        return f"numbers to predict, mean {mean:.4g}, deviation {deviation:.4g}"
    counts = arrays.label_counts()
    names = found.label_names or [str(number) for number in range(len(counts))]
    if found.label_shift is not None:
        first, last, off = names[0], names[-1], found.label_shift
        moved = f"from {first} to {last}, shifted by {-off:+d}: class 0 is the label {first}; examples by label "
    elif found.label_names:
        moved = "the classes 0, 1, ... are the labels " if found.label_form != "words" else "the classes are "
    else:
        moved = "from 0, examples by class "
    shown = ", ".join(f"{name}: {count:,}" for name, count in list(zip(names, counts, strict=True))[:FEW_NAMES])
    more = f" and {len(counts) - FEW_NAMES} classes more" if len(counts) > FEW_NAMES else ""
    return f"{len(counts)} classes ({found.label_form}), {moved}{shown}{more}"


def _worth_knowing(arrays: DatasetArrays) -> list[str]:
    said = []
    still = int((arrays.inputs.max(axis=0) == arrays.inputs.min(axis=0)).sum())
    inputs = int(np.prod(arrays.inputs.shape[1:]))
    if still:
        many = "no input varies" if still == inputs else f"{still:,} of {inputs:,} inputs never vary"
        said.append(f"{many}: nothing is learned from what is always the same")
    if arrays.targets is not None:
        return said
    counts = np.bincount(arrays.labels)
    if rare := int((counts == 1).sum()):
        said.append(f"classes with a single example, which is in one part alone: {rare}")
    training = len(arrays.labels) - arrays.validation - arrays.test
    seen = np.bincount(arrays.labels[:training], minlength=len(counts))
    if training < len(arrays.labels) and (unseen := int((seen == 0).sum())):
        said.append(f"classes without a training example, which cannot be learned: {unseen}")
    return said
