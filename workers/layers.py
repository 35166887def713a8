"""What every lane-first model has in common: its protocol, the trace that probes read, and slices of lanes.

Legend: L lanes, B examples, N units, C channels, H, W positions. Lanes stand in the model's own order, sorted so
that equal levels are neighbours; `train` maps them to the order of the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.draws import StepDraws

Parameters: TypeAlias = dict[str, Tensor]
"""Tensors by name, lane axis leading: `layer_01.weight`, `.bias`, `.gamma`, `.beta`, `classifier.weight`,
and what activations learn: `layer_01.slope`, ...

Weights of hidden layers are [L, N_in, N_out] or [L, C_out, C_in, k, k], the classifier's is [L, K, N], or a kernel.
"""


@dataclass
class Trace:
    """What a forward pass leaves for the probes, one tensor a hidden layer, first layer first.

    preactivations: z, what the activation receives (after a normalization that stands before it).
    activations: h, what it gives (before a normalization that stands after it, and before a residual sum). Where the
    pack's activations double the channels or halve them, h has so many.
    MLP: [L, B, N]. CNN: [B, L, C, H, W]. Recurrent: [L, T B, N], T time steps. `LaneModel.lane_axis` says which. Both
    are nodes of the autograd graph when the pass builds one, so that dL/dz is
    `torch.autograd.grad(loss, trace.preactivations)`.
    outputs: what the linear layers give, before everything else; kept only where a list is given.
    """

    preactivations: list[Tensor] = field(default_factory=list)
    activations: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Pass:
    """How one forward pass is made. The four constructors are the uses that there are.

    training: batch normalization goes by the statistics of the batch; otherwise by the running ones.
    moves_statistics: a pass in training mode also moves the running statistics, and sets parameters of activations
    that thaw at this step.
    trace: where the pass leaves what the probes read, if anywhere.
    draws: the random numbers that a training step may draw. Without them nothing is random: dropout and the levels that
    draw compute what they do in evaluation.
    averaged: while running statistics are averaged anew at fixed weights, of how many batches they are the mean before
    this pass. None: they move by the momentum of their normalization.
    """

    training: bool
    moves_statistics: bool = False
    trace: Trace | None = None
    draws: StepDraws | None = None
    averaged: int | None = None

    @classmethod
    def evaluation(cls, *, trace: Trace | None = None) -> Self:
        """By the running statistics; nothing is random, nothing moves."""
        return cls(training=False, trace=trace)

    @classmethod
    def step(cls, *, draws: StepDraws | None = None, trace: Trace | None = None) -> Self:
        """A training step's: by the batch's statistics, towards which the running ones move."""
        return cls(training=True, moves_statistics=True, draws=draws, trace=trace)

    @classmethod
    def measuring(cls, *, trace: Trace | None = None, draws: StepDraws | None = None) -> Self:
        """In training mode, by the batch's statistics, but nothing moves."""
        return cls(training=True, trace=trace, draws=draws)

    @classmethod
    def averaging(cls, batches: int) -> Self:
        """The running statistics become the mean over one batch more than the `batches` that they are the mean of."""
        return cls(training=True, moves_statistics=True, averaged=batches)


class LaneModel(Protocol):
    """A pack of networks of one shape, with their parameters and running statistics."""

    configs: Sequence[TrialConfig]
    """The living lanes' configs, in the model's order."""
    lane_axis: int
    """Where L stands in inputs and trace: 0 for MLP and recurrent ([L, B, N]), 1 for the CNN ([B, L, C, H, W])."""
    hidden_names: list[str]
    """`layer_01`, ...: the hidden layers as they are named in `params`."""
    params: Parameters
    """Trainable leaves."""
    statistics: Parameters
    """Running mean and variance, `layer_01.running_mean` [L, C]; empty where no lane has batch normalization."""

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Outputs [L, B, K]. `inputs` is [L, B, C, H, W] or [B, L, C, H, W], by `lane_axis`."""
        ...

    def derivative(self, params: Parameters, layer: int, preactivation: Tensor, units: Tensor | None = None) -> Tensor:
        """phi' of every lane of hidden layer `layer` (from 0), shaped as z in the trace, or h where that is larger.

        `units` [L, u]: those of each lane that z holds, in their order; all of them where it is None.
        """
        ...

    def steepest(self, params: Parameters, layer: int) -> Tensor:
        """max |phi'| of every lane and unit of hidden layer `layer` (from 0): [L, C]; [L, P] where units are pairs."""
        ...

    def alike(self) -> Sequence[range]:
        """Where lanes of equal activations and normalizations stand: they are neighbours."""
        ...

    def narrow(self, first: int, count: int) -> Self:
        """A model of `count` neighbouring lanes that shares this one's memory; for passes that change nothing."""
        ...

    def snapshot(self) -> Self:
        """A copy with its own memory, which training does not move."""
        ...

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these (ascending positions in the present order)."""
        ...


@runtime_checkable
class LayerwiseModel(LaneModel, Protocol):
    """Fully connected networks whose hidden layers can be computed one by one, as greedy pretraining does."""

    def layer(self, params: Parameters, number: int, x: Tensor, pass_: Pass) -> Tensor:
        """The outputs [L, B, N] of hidden layer `number` (from 0), from its inputs [L, B, F]."""
        ...

    def activated(self, params: Parameters, layer: int, z: Tensor) -> Tensor:
        """The activation phi(z) of hidden layer `layer` (from 0) in every lane; nothing is random."""
        ...


class _Classify(torch.autograd.Function):
    """Logits [L, K, B] from x [L, B, N], weight [L, K, N] and bias [L, K].

    Products this narrow cost a CPU two to four times less with the classes first, but autograd would hand back the
    gradient of x transposed, and slow every layer below: hence a backward pass of its own.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(2), weight, x.mT)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        return torch.bmm(gradient.mT, weight), torch.bmm(gradient, x), gradient.sum(2)


def classify(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Logits [L, B, K] = x W^T + b, from x [L, B, N], weight [L, K, N] and bias [L, K]; classes are outer in memory."""
    logits: Tensor = _Classify.apply(x, weight, bias)  # type: ignore[no-untyped-call] # torch gives it no types
    return logits.mT
