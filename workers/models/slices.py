"""Slices of a pack: neighbouring lanes with the same normalization and the same activation, computed together."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from actinium.levels import Activation, Normalization
from actinium.trial import TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, ActivationFunction, LearnedParameter


@dataclass(frozen=True, kw_only=True)
class LaneSlice:
    """Neighbouring lanes with one normalization and one activation; `first` is where they begin."""

    first: int
    lanes: int
    normalization: Normalization
    activation: Activation
    frozen_steps: int
    """For how many training steps the activation's learned parameters stay at their start."""

    @property
    def function(self) -> ActivationFunction:
        """The activation's entry in the table."""
        return ACTIVATION_FUNCTIONS[self.activation.name]

    @cached_property
    def learned(self) -> Mapping[str, LearnedParameter]:
        """The activation's learned parameters, by name."""
        return self.function.learned(self.activation)


def _levels(config: TrialConfig) -> tuple[str, str]:
    return config.normalization.model_dump_json(), config.activation.model_dump_json()


def lane_order(configs: Sequence[TrialConfig]) -> list[int]:
    """Positions of the lanes sorted so that equal normalizations, then equal activations, are neighbours."""
    return sorted(range(len(configs)), key=lambda lane: (_levels(configs[lane]), lane))


def slices_of(configs: Sequence[TrialConfig]) -> list[LaneSlice]:
    """The slices of a pack whose lanes stand in `lane_order`."""
    slices: list[LaneSlice] = []
    first = 0
    for _, group in groupby(configs, key=_levels):
        run = list(group)
        levels = run[0]
        epochs = ACTIVATION_FUNCTIONS[levels.activation.name].frozen_epochs(levels.activation)
        slices.append(
            LaneSlice(
                first=first,
                lanes=len(run),
                normalization=levels.normalization,
                activation=levels.activation,
                frozen_steps=epochs * (levels.task.train_count() // levels.training.batch_size),
            )
        )
        first += len(run)
    return slices


def slices_of_some(slices: Sequence[LaneSlice], lanes: Sequence[int]) -> list[LaneSlice]:
    """The slices of some lanes of a pack with `slices`; `lanes` are their positions in it, ascending."""
    found: list[LaneSlice] = []
    first = 0
    for piece in slices:
        count = bisect_left(lanes, piece.first + piece.lanes) - bisect_left(lanes, piece.first)
        if count:
            found.append(replace(piece, first=first, lanes=count))
            first += count
    return found
