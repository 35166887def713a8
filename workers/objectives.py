"""Losses and errors by objective, under the names of `actinium.objectives.OBJECTIVES`.

Legend: L lanes, B examples of a part, n in all, K outputs (classes, targets or pixels).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from actinium.objectives import ObjectiveName

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Outputs [L, B, K] and targets to the mean over examples, [L]; lanes do not meet in it."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Per lane, [L] each, on the device: the mean loss, the error in [0, 1], and the objective's end metrics."""

    loss: Tensor
    error: Tensor
    extra: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What errors are measured by. `tolerance`: of the dataset. `units` [L, K]: an output's unit in those of
    the dataset, in which `value_range` is; None where outputs are no pixels, or mix them.
    """

    tolerance: float | None = None
    units: Tensor | None = None
    value_range: float = 1.0


class Tally(Protocol):
    """What a pack's outputs are worth, gathered over parts of the examples."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs [L, B, K] of a part; targets [L, B] classes or [L, B, K] numbers."""
        ...

    def scores(self) -> Scores:
        """Of all parts together."""
        ...


def cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy per lane [L] of logits [L, B, K] and labels [L, B]."""
    losses: Tensor = functional.cross_entropy(outputs.mT, labels, reduction="none")
    return losses.mean(1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference per lane [L] of outputs and targets [L, B, K], over examples and outputs."""
    return (outputs - targets).square().mean((1, 2))


class WrongClasses:
    """Mean cross-entropy, and the share of wrong classes."""

    def __init__(self, measure: Measure) -> None:
        self._losses: list[Tensor] = []
        self._wrong: list[Tensor] = []
        self._count = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add up losses, and count."""
        self._losses.append(cross_entropy(outputs, targets) * targets.shape[1])
        self._wrong.append((outputs.argmax(-1) != targets).sum(1))
        self._count += targets.shape[1]

    def scores(self) -> Scores:
        """Loss and error."""
        loss = torch.stack(self._losses).sum(0) / self._count
        return Scores(loss=loss, error=torch.stack(self._wrong).sum(0) / self._count)


class SquaredErrors:
    """Mean squared error; the error is the share of examples out of tolerance, or of variance unexplained.

    Sums are in float64, each output's by itself. A lane whose outputs are not finite is all wrong.
    """

    def __init__(self, measure: Measure) -> None:
        self._measure = measure
        self._squares: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._target_squares: list[Tensor] = []
        self._far: list[Tensor] = []
        self._count = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Add up squares by lane and output, and count examples out of tolerance."""
        difference = outputs - targets
        exact = targets.double()
        self._squares.append(difference.square().sum(1, dtype=torch.float64))
        self._sums.append(exact.sum(1))
        self._target_squares.append(exact.square().sum(1))
        if self._measure.tolerance is not None:
            self._far.append(((difference.abs() <= self._measure.tolerance).logical_not()).any(2).sum(1))
        self._count += targets.shape[1]

    def variance(self) -> Tensor:
        """The targets' biased variance about each output's mean, averaged over outputs, [L] float64: the loss of the
        best constant.
        """
        mean = torch.stack(self._sums).sum(0) / self._count
        squares = torch.stack(self._target_squares).sum(0) / self._count
        return (squares - mean.square()).clamp(min=0).mean(1)

    def scores(self) -> Scores:
        """Loss and error; with pixels, `psnr` too."""
        by_output = torch.stack(self._squares).sum(0) / self._count
        loss, variance = by_output.mean(1), self.variance()
        if self._far:
            error = torch.stack(self._far).sum(0) / self._count
        else:
            error = torch.where(variance > 0, loss / variance, (loss > 0).double()).clamp(max=1.0)
        extra: dict[str, Tensor] = {}
        if self._measure.units is not None:
            square = (by_output * self._measure.units.double().square()).mean(1)
            extra["psnr"] = 10.0 * (self._measure.value_range**2 / square).log10().float()
        return Scores(loss=loss.float(), error=error.nan_to_num(1.0).float(), extra=extra)


@dataclass(frozen=True, kw_only=True)
class ObjectiveFunctions:
    """What is trained on, and what is judged by."""

    loss: Loss
    tally: Callable[[Measure], Tally]


OBJECTIVE_FUNCTIONS: Mapping[ObjectiveName, ObjectiveFunctions] = {
    "classification": ObjectiveFunctions(loss=cross_entropy, tally=WrongClasses),
    "regression": ObjectiveFunctions(loss=squared_error, tally=SquaredErrors),
    "reconstruction": ObjectiveFunctions(loss=squared_error, tally=SquaredErrors),
}
