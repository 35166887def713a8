"""The handwritten digits that ship with the product: `digits.npz`, 1,797 images of 8x8 pixels from 0 to 16.

Source: E. Alpaydin and C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49: the preprocessed file `optdigits.tes`, in its original order, which is also
the order of scikit-learn's `load_digits`. Licence: Creative Commons Attribution 4.0 International (CC BY 4.0).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DIGITS_FILE = Path(__file__).with_name("digits.npz")


def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images [1797, 1, 8, 8] and labels [1797]."""
    with np.load(DIGITS_FILE, allow_pickle=False) as stored:
        return stored["images"][:, np.newaxis], stored["labels"]


def read_digits_between(first: int, last: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The digits from `first` to `last`, in their order; the label 0 is `first`."""
    images, labels = read_digits()
    chosen = (labels >= first) & (labels <= last)
    return images[chosen], labels[chosen] - np.uint8(first)


SHIPPED: dict[str, Callable[[], tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {
    "digits": read_digits,
    "digits_0_4": lambda: read_digits_between(0, 4),
    "digits_5_9": lambda: read_digits_between(5, 9),
}
"""What is in the file, by the names that studies use."""
