"""A dataset twice: as it is, then shifted, so that test examples can be taken from the second half."""

import torch

from actinium.trial import Shift
from workers.datasets.arrays import Arrays
from workers.datasets.splits import Split


def shifted(arrays: Arrays, shift: Shift) -> Arrays:
    """The dataset [2 N, ...]: example N + i is example i with x -> scale x + offset s."""
    deviation = arrays.inputs.double().std(correction=0).item()
    moved = arrays.inputs * shift.scale + shift.offset * deviation
    return Arrays(inputs=torch.cat([arrays.inputs, moved]), labels=arrays.labels.repeat(2))


def tested_on_shifted(split: Split, examples: int) -> Split:
    """The split with its test part among the shifted examples."""
    return Split(train=split.train, validation=split.validation, test=split.test + examples)
