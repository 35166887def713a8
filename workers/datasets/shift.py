"""A dataset twice: as it is, then shifted, so that test examples can be taken from the second half."""

import torch
from torch import Tensor

from actinium.trial import Shift
from workers.datasets.arrays import Arrays
from workers.datasets.splits import Split


def shifted(arrays: Arrays, shift: Shift) -> Arrays:
    """The dataset [2 N, ...]: example N + i is example i with x -> scale x + offset s.

    What an image should become is shifted with it; numbers to be told of it stay.
    """
    deviation = arrays.inputs.double().std(correction=0).item()

    def doubled(images: Tensor) -> Tensor:
        return torch.cat([images, images * shift.scale + shift.offset * deviation])

    targets = arrays.targets
    if targets is not None:
        targets = doubled(targets) if targets.dim() == 4 else targets.repeat(2, 1)
    longer = None if arrays.test_inputs is None else doubled(arrays.test_inputs)
    return Arrays(inputs=doubled(arrays.inputs), labels=arrays.labels.repeat(2), targets=targets, test_inputs=longer)


def tested_on_shifted(split: Split, examples: int) -> Split:
    """The split with its test part among the shifted examples."""
    return Split(train=split.train, validation=split.validation, test=split.test + examples)
