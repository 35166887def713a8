"""Where each dataset's official files lie, and what must be in them.

A dataset lives in `ACTINIUM_DATA/NAME/`. One visible table: a dataset is added by an entry here, a definition in
`actinium.datasets.table.DATASETS` and, if its format is new, a reader.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_data_path

from actinium.datasets.table import DATASETS
from actinium.errors import DatasetMissing
from workers.datasets.cifar import read_cifar
from workers.datasets.idx import read_idx

Images = NDArray[np.uint8]
Pairs = list[tuple[Images, Images]]


@dataclass(frozen=True, kw_only=True)
class OfficialFiles:
    """A dataset's files: their names, the folders under ACTINIUM_DATA where they may lie, and their reader.

    `read` gets the found paths in the order of `names` and returns (images, labels) pairs, training part first.
    """

    names: tuple[str, ...]
    folders: tuple[str, ...]
    read: Callable[[list[Path]], Pairs]
    gzipped: bool = False
    """Whether NAME.gz stands in for NAME."""

    def find(self, root: Path) -> list[Path] | None:
        """The files' paths in the first folder that has them all, else None."""
        for folder in self.folders:
            found = [self._existing(root / folder / name) for name in self.names]
            if all(found):
                return [path for path in found if path]
        return None

    def missing(self, root: Path) -> list[str]:
        """Names that are not in the first (the canonical) folder."""
        return [name for name in self.names if not self._existing(root / self.folders[0] / name)]

    def _existing(self, path: Path) -> Path | None:
        candidates = [path, path.with_name(path.name + ".gz")] if self.gzipped else [path]
        return next((candidate for candidate in candidates if candidate.is_file()), None)


IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def _read_mnist(paths: list[Path]) -> Pairs:
    train_images, train_labels, test_images, test_labels = paths
    return [
        (read_idx(train_images, (60_000, 28, 28))[:, np.newaxis], read_idx(train_labels, (60_000,))),
        (read_idx(test_images, (10_000, 28, 28))[:, np.newaxis], read_idx(test_labels, (10_000,))),
    ]


OFFICIAL: Mapping[str, OfficialFiles] = {
    "mnist": OfficialFiles(names=IDX_NAMES, folders=("mnist",), read=_read_mnist, gzipped=True),
    "fashion_mnist": OfficialFiles(names=IDX_NAMES, folders=("fashion_mnist",), read=_read_mnist, gzipped=True),
    "cifar10": OfficialFiles(
        names=(*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
        folders=("cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),
        read=lambda paths: [read_cifar(path) for path in paths],
    ),
}


def default_root() -> Path:
    """ACTINIUM_DATA, else `data` under ACTINIUM_HOME, whose own default is the platform's user data folder."""
    if given := os.environ.get("ACTINIUM_DATA"):
        return Path(given)
    home = os.environ.get("ACTINIUM_HOME")
    return (Path(home) if home else user_data_path("actinium", appauthor=False)) / "data"


def present(name: str, root: Path) -> bool:
    """Whether the dataset can be read from `root`."""
    return name not in OFFICIAL or OFFICIAL[name].find(root) is not None


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
        pairs = files.read(paths)
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
