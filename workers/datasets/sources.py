"""Where the official files are published, and the SHA-256 that proves them.

The first address is the canonical place, those after it are mirrors of the same bytes; the digest is checked
whichever answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Source:
    """One published file: `unpack` names the members to take out of a .tar.gz; empty: the file is kept as it is."""

    addresses: tuple[str, ...]
    sha256: str
    unpack: tuple[str, ...] = ()

    def filename(self) -> str:
        """The last part of its address."""
        return self.addresses[0].rsplit("/", 1)[-1]

    def provides(self) -> tuple[str, ...]:
        """The names of the files that it brings."""
        return tuple(member.rsplit("/", 1)[-1] for member in self.unpack) or (self.filename(),)


def _idx(places: tuple[str, ...], digests: Mapping[str, str]) -> tuple[Source, ...]:
    return tuple(
        Source(addresses=tuple(f"{place}/{name}.gz" for place in places), sha256=digest)
        for name, digest in digests.items()
    )


SOURCES: Mapping[str, tuple[Source, ...]] = {
    "mnist": _idx(
        (
            "http://yann.lecun.com/exdb/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        {
            "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion_mnist": _idx(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        {
            "train-images-idx3-ubyte": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "cifar10": (
        Source(
            addresses=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            unpack=(
                *(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
                "cifar-10-batches-bin/test_batch.bin",
            ),
        ),
    ),
}
