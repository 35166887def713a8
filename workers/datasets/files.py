"""What must be in a dataset's official files.

A dataset lives in `ACTINIUM_DATA/NAME/`. It is added by an entry in `READERS` (and a reader, if its format is new), one
in `actinium.datasets.official.OFFICIAL` and a definition in `actinium.datasets.table.DATASETS`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actinium.datasets.official import OFFICIAL
from actinium.datasets.table import DATASETS
from actinium.errors import DatasetMissing
from workers.datasets.cifar import read_cifar
from workers.datasets.idx import read_idx

Images = NDArray[np.uint8]
Pairs = list[tuple[Images, Images]]


def _read_mnist(paths: list[Path]) -> Pairs:
    train_images, train_labels, test_images, test_labels = paths
    return [
        (read_idx(train_images, (60_000, 28, 28))[:, np.newaxis], read_idx(train_labels, (60_000,))),
        (read_idx(test_images, (10_000, 28, 28))[:, np.newaxis], read_idx(test_labels, (10_000,))),
    ]


READERS: Mapping[str, Callable[[list[Path]], Pairs]] = {
    "mnist": _read_mnist,
    "fashion_mnist": _read_mnist,
    "cifar10": lambda paths: [read_cifar(path) for path in paths],
}
"""From the found paths, in the order of `OfficialFiles.names`, to (images, labels) pairs, training part first."""


def _where_to_put(name: str, root: Path) -> str:
    """What to do about files that are not there."""
    if not root.is_dir():
        return (
            f"{name} is looked for in {root}, and there is no such folder. Make or mount it, or set ACTINIUM_DATA to "
            f"the folder that holds the datasets; then run `actinium data fetch {name}`."
        )
    files = OFFICIAL[name]
    return (
        f"{name} is not in {root / files.folders[0]}: {', '.join(files.missing(root))} missing. Run "
        f"`actinium data fetch {name}`, or put the official files{' (.gz or not)' if files.gzipped else ''} there; "
        "ACTINIUM_DATA names the folder above."
    )


def read_official(name: str, root: Path) -> tuple[Images, Images]:
    """Images [N, C, H, W] and labels [N], the official test examples last.

    DatasetMissing names folder, files and mend, also where they may not be read; InvalidInput says which file is not
    what it should be.
    """
    files = OFFICIAL[name]
    try:
        paths = files.find(root)
        if paths is None:
            raise DatasetMissing(_where_to_put(name, root), dataset=name)
        pairs = READERS[name](paths)
    except OSError as error:
        raise DatasetMissing(
            f"{name} cannot be read in {root}: {error}. Let this user read it, or set ACTINIUM_DATA to a folder of "
            f"files that can be read, and run `actinium data fetch {name}`.",
            dataset=name,
        ) from error
    images = np.concatenate([images for images, _ in pairs])
    labels = np.concatenate([labels for _, labels in pairs])
    assert images.shape == (DATASETS[name].examples, *DATASETS[name].shape)
    return images, labels
