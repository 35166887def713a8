"""What a level of activation is to the lanes: the form of an entry of the table.

Shapes: z and h of one slice of lanes, either [l, B, N] or [B, l, C, H, W]; learned parameters are broadcast to z by the
caller. Where the level has a ratio other than 1, h has `ratio` times as many channels as z.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from actinium.levels import Activation

Learned: TypeAlias = Mapping[str, Tensor]
"""A slice's learned parameters by name, broadcastable to z; empty where nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class LearnedParameter:
    """A parameter that is trained: where it starts, and whether each channel has its own or the layer one.

    A pair (low, high) starts it uniformly between the two, drawn for every channel from the lane's seed.
    """

    start: float | tuple[float, float]
    shared: bool

    def typical_start(self) -> float:
        """The start, or the middle of its range."""
        return self.start if isinstance(self.start, int | float) else 0.5 * (self.start[0] + self.start[1])


def nothing_learned(level: Activation) -> Mapping[str, LearnedParameter]:
    """For activations without learned parameters."""
    return {}


@dataclass(frozen=True, kw_only=True)
class ActivationFunction:
    """What a level computes.

    forward(z, level, learned) is phi(z), differentiable by autograd; derivative(z, level, learned) is phi'(z), with
    phi'(0) as torch's backward has it, and an entry for every input of an output and every output of an input;
    steepest(level, learned) is max |phi'| over all z, broadcastable to z, and NaN where it has no bound. `learned`
    names the learned parameters. A `rectifier` has an off state: phi(z) <= 0 is silence. `frozen_epochs` is for how
    long the learned parameters stay at their start; `thawed` then gives some of them new values [l, C] from the values
    of z in the first batch after it, [l, C, n] ([l, 1, C n] where shared).
    noisy(z, level, uniform), where there is one, stands for forward in a training step; `uniform` on [0, 1) is as z.
    """

    forward: Callable[[Tensor, Activation, Learned], Tensor]
    derivative: Callable[[Tensor, Activation, Learned], Tensor]
    steepest: Callable[[Activation, Learned], Tensor | float]
    learned: Callable[[Activation], Mapping[str, LearnedParameter]] = nothing_learned
    rectifier: bool = False
    noisy: Callable[[Tensor, Activation, Tensor], Tensor] | None = None
    frozen_epochs: Callable[[Activation], int] = lambda level: 0
    thawed: Callable[[Tensor, Activation], Mapping[str, Tensor]] = lambda observed, level: {}


def gate(z: Tensor) -> Tensor:
    """1 where z > 0, else 0, in z's dtype; a constant for autograd. Written in one pass, which converting is not."""
    with torch.no_grad():
        return torch.gt(z, 0, out=torch.empty_like(z))


def slope_derivative(z: Tensor, below: Tensor | float) -> Tensor:
    """1 where z > 0, else `below`."""
    above = gate(z)
    return above + (1.0 - above) * below
