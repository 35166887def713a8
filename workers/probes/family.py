"""What a family of probes is: the form of an entry of `workers.probes.families.FAMILIES`.

Legend: L lanes, C units of a layer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from actinium.errors import ProbeFault
from actinium.frame import layer_series
from actinium.measurements import MEASUREMENTS, metric, quantity_of
from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.probes.gathering import Gathered, LayerLook, OutputsQuantity
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import Schedule, every_step

Values: TypeAlias = Mapping[str, Tensor]
"""[L] by series name."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """A quantity that a family gives, its parameter in its name: of the network, of every hidden layer, or both."""

    name: str
    network: bool
    layers: bool

    def series(self, layers: int) -> list[str]:
        """The names of its series in networks of so many hidden layers."""
        by_layer = [layer_series(self.name, number) for number in range(1, layers + 1)] if self.layers else []
        return [self.name] * self.network + by_layer


def given(name: str) -> Given:
    """A quantity as the table of measurements defines it. Raises ProbeFault for one that is not there."""
    entry = metric(name)
    if entry is None:
        raise ProbeFault(f"{name!r} is not in actinium.measurements.MEASUREMENTS; add its entry, or mend its name")
    return Given(name=name, network=entry.by_network, layers=entry.by_layer)


def tabled(family: str, *, at_end: bool = False, without: Sequence[str] = ()) -> list[Given]:
    """The quantities without a parameter that the table of measurements has of a family, in its order: those of frames,
    or those of a whole trial.
    """
    return [
        given(name)
        for name, entry in MEASUREMENTS.items()
        if entry.family == family and entry.summary_only == at_end and not entry.parameter and name not in without
    ]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Measurements that one setting turns on.

    name: the field of `actinium.probes.Probes` that is its setting, and what the table of measurements calls it.
    `always`: it has no setting, and is on in every trial. steps: at which of the measured steps it is measured;
    sparser: quantities of it (without parameter) that are measured at fewer. series: what it gives for a config; as the
    table has it where this is None. What is not due at a step is NaN in frames; what is due, the family must give.

    gather: what it collects of each hidden layer while the probe set goes by in eval mode, in a pass that all families
    share; gather_outputs: of the network's outputs. remember: what it keeps of the units' values [L, U] by name; the
    flags say which lanes are finite. measure: what it finds otherwise, at this step; it runs after the shared pass.
    ends, end: what it gives of a whole trial, and the function that does. artifacts: arrays of one lane's network at
    the end.
    """

    name: str
    always: bool = False
    steps: Schedule = every_step
    sparser: Mapping[str, Schedule] = field(default_factory=dict)
    series: Callable[[TrialConfig], Sequence[Given]] | None = None
    gather: Callable[[LayerLook], Gathered] | None = None
    gather_outputs: Callable[[TrialConfig, frozenset[str]], Sequence[OutputsQuantity]] | None = None
    remember: Callable[[ProbedPack, Values, Tensor], None] | None = None
    measure: Callable[[ProbedPack, int], Values] | None = None
    ends: Callable[[Sequence[TrialConfig]], Sequence[Given]] | None = None
    end: Callable[[ProbedPack], Values] | None = None
    artifacts: Callable[[LaneModel, int], Mapping[str, NDArray[np.float32]]] | None = None

    def is_on(self, config: TrialConfig) -> bool:
        """Whether a trial asks for it."""
        return self.always or getattr(config.probes, self.name) is not None

    def given(self, config: TrialConfig) -> Sequence[Given]:
        """What its frames have, in order."""
        return tabled(self.name) if self.series is None else self.series(config)

    def given_at_end(self, configs: Sequence[TrialConfig]) -> Sequence[Given]:
        """What its trials' summaries have besides, of some lane of the pack."""
        if self.end is None:
            return ()
        return tabled(self.name, at_end=True) if self.ends is None else self.ends(configs)

    def timetable(self, config: TrialConfig) -> list[tuple[Given, frozenset[int]]]:
        """What its frames have, each with the steps at which it is measured."""
        steps = {schedule: schedule(config) for schedule in (self.steps, *self.sparser.values())}
        return [
            (one, steps[self.sparser.get(quantity_of(one.name) or one.name, self.steps)]) for one in self.given(config)
        ]


def check_given(family: str, values: Values, wanted: Sequence[str], *, when: str) -> None:
    """Raises ProbeFault, with the names, where a family gave a series too few, too many, or unknown."""
    missing = [name for name in wanted if name not in values]
    known = frozenset(wanted)
    unasked = [name for name in values if name not in known]
    if missing or unasked:
        faults = [
            *([f"did not give {', '.join(missing)}"] if missing else []),
            *([f"gave {', '.join(unasked)}, which nobody asked for"] if unasked else []),
        ]
        raise ProbeFault(
            f"the family {family!r} of probes {' and '.join(faults)} ({when}); its function and its entries in "
            "actinium.measurements.MEASUREMENTS must agree"
        )
