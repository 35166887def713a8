"""Datasets of somebody's own, as a training process gets them: handed over with the pack, under their SHA-256.

A process keeps the last few. Nothing is read from a name or a path.
"""

from collections import OrderedDict

import numpy as np
import torch
from numpy.typing import NDArray

from actinium.datasets.file import DatasetArrays, read_dataset
from actinium.datasets.table import StoredDataset
from actinium.errors import DatasetMissing, InvalidInput
from workers.datasets.arrays import Arrays

MOST_KEPT = 2
ANY_SIZE = 2**62
"""The service has judged the size."""


class Shelf:
    """The datasets that this process holds, the latest used last."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._held: OrderedDict[str, Arrays] = OrderedDict()

    def put(self, sha256: str, content: bytes | NDArray[np.uint8]) -> None:
        """Take in a file's bytes; the arrays must have this SHA-256."""
        if sha256 in self._held:
            return
        arrays = read_dataset(bytes(content), most_bytes=ANY_SIZE)
        found = arrays.sha256()
        if found != sha256:
            arrays = arrays.rounded()  # an address from when float64 was kept as float32; its numbers stay those
        if found != sha256 and arrays.sha256() != sha256:
            raise InvalidInput(f"the arrays of dataset {sha256} have the SHA-256 {found}; add the file again")
        self._held[sha256] = tensors(arrays)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    def get(self, stored: StoredDataset) -> Arrays:
        """The dataset; DatasetMissing where it was not handed over."""
        if stored.sha256 not in self._held:
            raise DatasetMissing(
                f"the dataset of SHA-256 {stored.sha256} was not handed to this process; "
                "train through the service that it was added to, or add its file again with `actinium data add`",
                dataset=stored.sha256,
            )
        self._held.move_to_end(stored.sha256)
        return self._held[stored.sha256]


SHELF = Shelf()
"""This process's."""


def tensors(arrays: DatasetArrays) -> Arrays:
    """The same numbers as torch holds them: float32, or float64 where that is needed to hold them exactly."""
    inputs = np.ascontiguousarray(arrays.floats)
    targets = None if arrays.targets is None else torch.from_numpy(arrays.targets).unsqueeze(1)
    return Arrays(inputs=torch.from_numpy(inputs), labels=torch.from_numpy(arrays.labels), targets=targets)
