"""The "binary version" of CIFAR-10 (https://www.cs.toronto.edu/~kriz/cifar.html).

A file is 10,000 records of 3,073 bytes: the label, then the red, green and blue planes of 32x32 pixels.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actinium.errors import InvalidInput

RECORDS, CLASSES = 10_000, 10
PIXELS = 3 * 32 * 32


def read_cifar(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images [10000, 3, 32, 32] and labels [10000] of one file; InvalidInput where it is not of this form."""
    content = np.fromfile(path, np.uint8)
    expected = RECORDS * (1 + PIXELS)
    if content.size != expected:
        raise InvalidInput(f"{path}: {content.size} bytes instead of {expected}; is it of CIFAR-10's binary version?")
    records = content.reshape(RECORDS, 1 + PIXELS)
    labels = records[:, 0]
    if labels.max() >= CLASSES:
        raise InvalidInput(f"{path}: label {labels.max()} in CIFAR-10, whose labels are 0 to 9; fetch the file again")
    return records[:, 1:].reshape(RECORDS, 3, 32, 32), labels
