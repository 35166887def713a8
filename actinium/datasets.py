"""The datasets that a study can name, as the house sees them before any file is read. One visible table.

A dataset of somebody's own is not in the table: the service knows it by name, and writes what it knows of it into the
task as a `StoredDataset`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Shape: TypeAlias = tuple[int, int, int]
"""(channels, height, width) of an example; a vector of D features is (D, 1, 1)."""


@dataclass(frozen=True, kw_only=True)
class DatasetDefinition:
    """What is to be known of a dataset.

    The last `official_test` of `examples` are the fixed test set; where that is 0, each split draws its own.
    `scaling`: what shares one mean and one deviation when inputs are z-scored, a single input or a whole channel.
    """

    name: str
    shape: Shape
    classes: int
    examples: int
    official_test: int
    citation: str
    scaling: Literal["input", "channel"] = "channel"


DATASETS: dict[str, DatasetDefinition] = {
    d.name: d
    for d in (
        DatasetDefinition(
            name="digits",
            shape=(1, 8, 8),
            classes=10,
            examples=1797,
            official_test=0,
            citation="Alpaydin & Kaynak 1998, UCI optical recognition of handwritten digits (test part)",
            scaling="input",
        ),
        DatasetDefinition(
            name="mnist", shape=(1, 28, 28), classes=10, examples=70_000, official_test=10_000, citation="LeCun 1998"
        ),
        DatasetDefinition(
            name="fashion_mnist",
            shape=(1, 28, 28),
            classes=10,
            examples=70_000,
            official_test=10_000,
            citation="Xiao et al. 2017",
        ),
        DatasetDefinition(
            name="cifar10",
            shape=(3, 32, 32),
            classes=10,
            examples=60_000,
            official_test=10_000,
            citation="Krizhevsky 2009",
        ),
    )
}

DATASET_NAME = r"[a-z0-9][a-z0-9._-]*"
LONGEST_NAME = 80
SHA256_HEX = r"^[0-9a-f]{64}$"
Size = Annotated[int, Field(ge=1, le=2**31 - 1)]


class StoredDataset(BaseModel):
    """A dataset of somebody's own: the SHA-256 of its arrays (`actinium.dataset_file`), and what they hold.

    The service fills it in for a name that it knows; it is part of a trial's config, so that an old study still says
    on which numbers it was trained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=SHA256_HEX)
    shape: tuple[Size, Size, Size]
    classes: int = Field(ge=2)
    examples: Size

    def definition(self, name: str) -> DatasetDefinition:
        """The same as an entry of the table."""
        return DatasetDefinition(
            name=name,
            shape=self.shape,
            classes=self.classes,
            examples=self.examples,
            official_test=0,
            citation=f"arrays of SHA-256 {self.sha256}",
        )
