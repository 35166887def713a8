"""What one pass over a part of the probe set shows of one hidden layer, and sums and maxima of it by unit.

Legend: L lanes, B examples of the part, N units, C channels, H, W positions. Layer tensors are [L, B, N] (lane_axis 0)
or [B, L, C, H, W] (lane_axis 1). A unit is a neuron, or a channel with all its positions.

Where activations double the channels or halve them, the unit is the pair: a channel of z with its two outputs, or two
channels of z with their one output; P of them in a layer. Channels p and p + P of what has two are its halves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor


@dataclass
class LayerChunk:
    """One layer's tensors for a part of the probe set.

    preactivation: z. activation: h = phi(z). derivative: phi', a new tensor of z, as wide as the wider of z and h.
    """

    preactivation: Tensor
    activation: Tensor
    derivative: Callable[[Tensor], Tensor]
    lane_axis: int

    @cached_property
    def scratch(self) -> Tensor:
        """As large as z, free to be overwritten; whoever uses it is done with it before anybody else is called."""
        return torch.empty_like(self.preactivation)

    @cached_property
    def steepness(self) -> Tensor:
        """|phi'(z)|, computed where it is asked for; of pairs, of each half."""
        return self.derivative(self.preactivation).abs_()

    @property
    def strongest(self) -> Tensor:
        """|phi'(z)| of units: of pairs, the larger of the halves'."""
        return larger_half(self.steepness, axis=2) if self.paired else self.steepness

    @property
    def paired(self) -> bool:
        """Whether units are pairs."""
        return self.preactivation.shape != self.activation.shape

    @property
    def halving(self) -> bool:
        """Whether one output is made of two channels of z."""
        return self.activation.shape[2] < self.preactivation.shape[2]

    def scratch_as(self, values: Tensor) -> Tensor:
        """Scratch as large as `values`, which are z's or h's."""
        return self.scratch if self.scratch.shape == values.shape else self._activation_scratch

    @cached_property
    def _activation_scratch(self) -> Tensor:
        return torch.empty_like(self.activation)

    @property
    def samples(self) -> int:
        """Values of a unit: examples, times positions."""
        shape = self.preactivation.shape
        return shape[1] if self.lane_axis == 0 else shape[0] * shape[3] * shape[4]

    def of_units(self, per_unit: Tensor) -> Tensor:
        """[L, C] so shaped that it broadcasts over a layer tensor."""
        return per_unit.unsqueeze(1) if self.lane_axis == 0 else per_unit[None, :, :, None, None]

    def peak(self, values: Tensor) -> Tensor:
        """Each unit's largest value: [L, C]."""
        return values.amax(1) if self.lane_axis == 0 else values.flatten(3).amax(3).amax(0)

    def total(self, values: Tensor) -> Tensor:
        """Each unit's sum, [L, C] float64; the terms of one part are added in the tensor's own precision."""
        added = values.sum(1) if self.lane_axis == 0 else values.flatten(3).sum(3).sum(0)
        return added.double()

    def products(self, values: Tensor) -> Tensor:
        """Each lane's X^T X, [L, C, C] float64: a row of X is an example (at a position), a column a unit.

        The products too are in float64: of a float32 one, singular values below a thousandth of the largest are noise.
        """
        exact = values.double()
        if self.lane_axis == 0:
            return exact.mT @ exact
        flat = exact.flatten(3)
        return (flat @ flat.mT).sum(0)


def larger_half(values: Tensor, *, axis: int) -> Tensor:
    """Of every pair, the larger of its halves' values."""
    return torch.maximum(*values.chunk(2, axis))


def only_units(values: Tensor, units: Tensor, lane_axis: int) -> Tensor:
    """Of a layer tensor, these units [L, u] of each lane: [L, B, u], or [B, L, u, H, W]."""
    if lane_axis == 0:
        return values.gather(2, units.unsqueeze(1).expand(-1, values.shape[1], -1))
    return values.gather(2, units[None, :, :, None, None].expand(values.shape[0], -1, -1, *values.shape[3:]))


class LayerQuantity(Protocol):
    """Something gathered over the parts of the probe set for one layer of all lanes."""

    def add(self, chunk: LayerChunk) -> None:
        """Take one more part into account; nothing of the chunk is kept."""
        ...


class UnitQuantity(LayerQuantity, Protocol):
    """One that is a number of each unit; a layer's, and the network's, is the mean over its units.

    Of what pairs give, or receive, it may be a number of each channel.
    """

    def by_unit(self) -> Tensor:
        """[L, C] float64."""
        ...


Place: TypeAlias = tuple[Tensor, ...]
"""Where a part's units stand in a layer's [L, C]: lanes [l] with all their units, or lanes [l, 1] and units [l, u]."""


@runtime_checkable
class SilenceQuantity(UnitQuantity, Protocol):
    """One that holds of a unit until a single example shows otherwise: decided on the whole probe set."""

    def undecided(self) -> Tensor:
        """[L, C] bool: the units that another example could still decide."""
        ...

    def add_of(self, place: Place, chunk: LayerChunk) -> None:
        """As `add`, of a part that holds these lanes, or units, alone."""
        ...
