"""What is to be known of a measurement: the form of an entry of the table."""

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Literal, TypeAlias

FIRST_VERSION = 1

DefinedOf: TypeAlias = Literal["unit", "layer", "network"]
"""What a quantity is a number of. A unit's and a layer's have a series for each hidden layer, `NAME/layer_03`."""

NetworkValue: TypeAlias = Literal["mean over units", "mean over layers", "own", "none"]
"""What `NAME` itself is: a mean, a number of its own, or nothing where there are only layers."""

Kind: TypeAlias = Literal["event", "share", "quantity"]
"""event: a share of units (or layers, networks, trials) to which something happens, so that none in any seed is still
no proof of never. share: any other fraction. quantity: everything else.
"""

SHARE_UNIT = "share"
"""A fraction: pages print it in percent."""

LOSS_UNIT = "loss"
"""That of the objective's loss, as `OBJECTIVES[...].loss_unit` has it: nats, or squared units."""


@dataclass(frozen=True)
class Measurement:
    """A quantity's definition.

    family: the setting under `probes` that turns it on, or `losses`, `design`, `procedures` and `report`, which nobody
    turns on. section: where SCIENCE defines it. label: what pages call it, in a few words. low, high: what one trial's
    value can be at least and at most; None where there is no such bound. unit: `share`, `loss`, or a word.
    smaller_is_better: None where neither is. version: raised when the quantity is computed differently.

    parameter: what the end of the name says, for quantities that have something there: a number, or with `name` any
    word. usual: the parameter under which reports list it. frames_only: kept in frames alone, neither in summaries nor
    in the mirror. summary_only: one number of a whole trial, in no frame. reported: every cell of a report lists it,
    measured or not.
    """

    label: str
    definition: str
    _: KW_ONLY
    family: str
    section: str
    defined: DefinedOf
    network: NetworkValue
    kind: Kind
    unit: str
    low: float | None = None
    high: float | None = None
    smaller_is_better: bool | None = None
    version: int = FIRST_VERSION
    parameter: str = ""
    usual: str = ""
    frames_only: bool = False
    summary_only: bool = False
    reported: bool = False

    @property
    def by_layer(self) -> bool:
        """Whether there is a series for each hidden layer."""
        return self.defined != "network"

    @property
    def by_network(self) -> bool:
        """Whether there is one for the network."""
        return self.network != "none"


event = partial(
    Measurement,
    section="D1",
    defined="unit",
    network="mean over units",
    kind="event",
    unit=SHARE_UNIT,
    low=0.0,
    high=1.0,
)
"""A share of units to which something happens."""

share = partial(Measurement, defined="network", network="own", kind="share", unit=SHARE_UNIT, low=0.0, high=1.0)
"""A fraction of something else, or a difference of two where `low` is -1."""

quantity = partial(Measurement, defined="network", network="own", kind="quantity", unit="1")
"""Anything else that is a number."""
