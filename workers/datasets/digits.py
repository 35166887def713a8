"""The handwritten digits that ship with the product: `digits.npz`, 1,797 images of 8x8 pixels from 0 to 16.

Source: E. Alpaydin and C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49: the preprocessed file `optdigits.tes`, in its original order, which is also
the order of scikit-learn's `load_digits`. Licence: Creative Commons Attribution 4.0 International (CC BY 4.0).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from workers.seeding import generator

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


def read_digits_in_order(order: Sequence[int] | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Digits pixel by pixel, [1797, 1, 64, 1]: row by row from the top left, or the pixels in this order."""
    images, labels = read_digits()
    pixels = images.reshape(len(images), 1, -1, 1)
    return pixels if order is None else pixels[:, :, list(order)], labels


def fixed_permutation(count: int) -> list[int]:
    """A permutation that is the same everywhere and always."""
    order: list[int] = torch.randperm(count, generator=generator(0, "permutation")).tolist()
    return order


SHIPPED: dict[str, Callable[[], tuple[NDArray[np.uint8], NDArray[np.uint8]]]] = {
    "digits": read_digits,
    "digits_0_4": lambda: read_digits_between(0, 4),
    "digits_5_9": lambda: read_digits_between(5, 9),
    "sequential_digits": read_digits_in_order,
    "permuted_digits": lambda: read_digits_in_order(fixed_permutation(64)),
}
"""What is in the file, by the names that studies use."""
