"""The contract of lane-first networks, how a forward pass is asked for, and the trace that probes read.

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
    """What a forward pass records for the probes: lists with one tensor for each hidden layer, first layer first.

    preactivations: z, the activation's input, behind a normalization that stands before the activation.
    activations: h, the activation's output, before a normalization that stands after it and before a residual sum. An
    activation that doubles or halves the number of channels gives h twice or half as many channels as z.
    outputs: u, the linear layer's output; recorded only where a list is given.

    Fully connected: [L, B, N]. Convolutional: [B, L, C, H, W]. Recurrent: [L, T B, N], T time steps.
    `LaneModel.lane_axis` says where L stands. When the pass builds an autograd graph, z and h are nodes of it, so that
    dL/dz is `torch.autograd.grad(loss, trace.preactivations)`.
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
    batch: how many examples share the statistics of a batch normalization, in a pass of many batches at once: each run
    of so many examples is normalized as a training step of them would be. None: all examples are one batch. A pass of
    many batches moves no statistics.
    """

    training: bool
    moves_statistics: bool = False
    trace: Trace | None = None
    draws: StepDraws | None = None
    averaged: int | None = None
    batch: int | None = None

    @classmethod
    def evaluation(cls, *, trace: Trace | None = None) -> Self:
        """By the running statistics; nothing is random, nothing moves."""
        return cls(training=False, trace=trace)

    @classmethod
    def step(cls, *, draws: StepDraws | None = None, trace: Trace | None = None) -> Self:
        """A training step's: by the batch's statistics, towards which the running ones move."""
        return cls(training=True, moves_statistics=True, draws=draws, trace=trace)

    @classmethod
    def measuring(cls, *, batch: int | None = None, trace: Trace | None = None, draws: StepDraws | None = None) -> Self:
        """In training mode, by the statistics of batches of so many examples, but nothing moves."""
        return cls(training=True, batch=batch, trace=trace, draws=draws)

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
        """phi'(z) in hidden layer `layer` (from 0), of all lanes; shaped as z in the trace, or as h if that is larger.

        `units` [L, u]: which units of each lane `preactivation` holds, where it does not hold all of them.
        """
        ...

    def steepest(self, params: Parameters, layer: int) -> Tensor:
        """The largest |phi'| of every lane and unit of hidden layer `layer` (from 0): [L, C], or [L, P] for P pairs of
        channels where the activation takes channels by pairs.
        """
        ...

    def alike(self) -> Sequence[range]:
        """The runs of neighbouring lanes with the same activation and the same normalization."""
        ...

    def narrow(self, first: int, count: int) -> Self:
        """A model of `count` neighbouring lanes on this model's memory; its parameters take no gradient, and running
        statistics that it moves are this model's.
        """
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

    On a CPU, products with so few classes take a half to a quarter of the time when the classes come first. But then
    autograd would make the gradient of x transposed in memory, which slows every layer below: hence the own backward.
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
    """Logits [L, B, K] = x W^T + b, from x [L, B, N], weight [L, K, N] and bias [L, K]; in memory [L, K, B]."""
    logits: Tensor = _Classify.apply(x, weight, bias)  # type: ignore[no-untyped-call] # torch gives it no types
    return logits.mT
