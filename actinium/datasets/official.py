"""Which files the house's downloaded datasets have, and where they may lie under ACTINIUM_DATA. One visible table.

Their readers are in `workers.datasets.files`, under the same names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from actinium.home import default_home


@dataclass(frozen=True, kw_only=True)
class OfficialFiles:
    """A dataset's files: their names, and the folders under ACTINIUM_DATA where they may lie."""

    names: tuple[str, ...]
    folders: tuple[str, ...]
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

OFFICIAL: Mapping[str, OfficialFiles] = {
    "mnist": OfficialFiles(names=IDX_NAMES, folders=("mnist",), gzipped=True),
    "fashion_mnist": OfficialFiles(names=IDX_NAMES, folders=("fashion_mnist",), gzipped=True),
    "cifar10": OfficialFiles(
        names=(*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
        folders=("cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),
    ),
}


def default_root() -> Path:
    """ACTINIUM_DATA, else `data` under ACTINIUM_HOME, whose own default is the platform's user data folder."""
    given = os.environ.get("ACTINIUM_DATA")
    return Path(given) if given else default_home() / "data"


def present(name: str, root: Path) -> bool:
    """Whether the files that a dataset needs, if any, are under `root`."""
    return name not in OFFICIAL or OFFICIAL[name].find(root) is not None
