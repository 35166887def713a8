"""How families collect what the shared pass over the probe set shows, layer by layer.

Legend: L lanes, B examples, K outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from torch import Tensor

from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.probes.chunk import LayerQuantity, UnitQuantity

Q = TypeVar("Q", bound=LayerQuantity)


class LayerValues(LayerQuantity, Protocol):
    """Something gathered that is a number of the layer as a whole, or several."""

    def by_layer(self) -> Mapping[str, Tensor]:
        """[L] by the quantity's name."""
        ...


class OutputsQuantity(Protocol):
    """Something gathered of the network's outputs, decided on the whole probe set."""

    def add(self, outputs: Tensor) -> None:
        """Take in a part's outputs [L, B, K]."""
        ...

    def undecided(self) -> Tensor:
        """[L] bool: lanes of which another example could still decide it."""
        ...

    def add_of(self, lanes: Tensor, outputs: Tensor) -> None:
        """As `add`, of a part that was passed through these lanes alone: it holds no others."""
        ...

    def by_network(self) -> Mapping[str, Tensor]:
        """[L] by the quantity's name."""
        ...


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What a family collects of one hidden layer: quantities of units by name, and those that give the layer's own."""

    units: Mapping[str, UnitQuantity] = field(default_factory=dict)
    layers: tuple[LayerValues, ...] = ()


@dataclass(kw_only=True)
class LayerLook:
    """What a family is asked to collect: of hidden layer `layer` (from 0) of these lanes, the quantities that are
    `due`, with their parameters.
    """

    config: TrialConfig
    model: LaneModel
    layer: int
    due: frozenset[str]
    shared: dict[type[LayerQuantity], LayerQuantity]

    def common(self, kind: type[Q]) -> Q:
        """This layer's one quantity of a kind that several families read and none gives; the pass feeds it."""
        found = self.shared.setdefault(kind, kind())
        assert isinstance(found, kind)
        return found
