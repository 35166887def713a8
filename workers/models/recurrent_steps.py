"""One time step of a slice of lanes, and the record of all time steps for the trace.

Legend: l lanes of the slice, S consecutive time steps, B examples, N units, G columns.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workers.activations.forms import Learned
from workers.layers import Parameters, Pass, Trace
from workers.models.slices import LaneSlice
from workers.normalizations.apply import (
    Affine,
    RunningStatistics,
    keeps_statistics,
    learns_scale,
    learns_shift,
    normalize_units,
)


@dataclass(frozen=True, kw_only=True)
class SliceSteps:
    """Computes the time steps of one slice of lanes in one layer, in one forward pass.

    number: the layer's, as a word: `01`. places: where its normalization stands (`recurrent_start.normalized_places`).
    bias: [l, 1, G]. summed_at_once: layer normalization is of the sum W_x x + W_h h, not of each term. trained_steps:
    the time steps that have running statistics.
    """

    piece: LaneSlice
    number: str
    places: tuple[str, ...]
    bias: Tensor
    learned: Learned
    summed_at_once: bool
    params: Parameters
    pass_: Pass
    statistics: Parameters
    trained_steps: int

    @property
    def lanes(self) -> slice:
        """The slice's lanes."""
        return slice(self.piece.first, self.piece.first + self.piece.lanes)

    @property
    def _sums(self) -> bool:
        return self.summed_at_once and self.piece.normalization.name == "layer"

    @property
    def normalizes_recurrence(self) -> bool:
        """Whether W_h h is normalized, by itself or in the sum."""
        return self._sums or "recurrent" in self.places

    @property
    def normalizes_cell(self) -> bool:
        """Whether the cell state is normalized before the output gate."""
        return "cell" in self.places

    def driven(self, u: Tensor) -> Tensor:
        """W_x x of all time steps, [l, T, B, G], plus the bias; normalized first, where it is normalized by itself."""
        if self._sums:
            return u
        if "layer" in self.places:
            u = self._normalized("layer", u, 0, shift=None)
        return u + self.bias.unsqueeze(1)

    def summed(self, u: Tensor, r: Tensor, step: int) -> Tensor:
        """The sum of `driven` at a time step, u, and r = W_h h, [l, B, G] each; normalized as the level has it."""
        if self._sums:
            return self._normalized("layer", (u + r).unsqueeze(1), step, shift=None).squeeze(1) + self.bias
        if "recurrent" in self.places:
            r = self._normalized("recurrent", r.unsqueeze(1), step, shift=None).squeeze(1)
        return u + r

    def cell(self, c: Tensor, step: int) -> Tensor:
        """The cell state c [l, B, N] as the output gate receives it: normalized, where it is."""
        if not self.normalizes_cell:
            return c
        shift = self.params[f"cell_{self.number}.beta"][self.lanes]
        return self._normalized("cell", c.unsqueeze(1), step, shift=shift).squeeze(1)

    def activated(self, z: Tensor, step: int, word: str) -> Tensor:
        """phi(z) [l, B, N] at time step `step`; `word` keeps the draws of a step's two activations apart."""
        function, level = self.piece.function, self.piece.activation
        if self.pass_.draws is None or function.noisy is None:
            return function.forward(z, level, self.learned)
        place = f"layer_{self.number}/{word}_{step:04d}"
        return function.noisy(z, level, self.pass_.draws.uniform("activation", place, self.lanes, z.shape[1:]))

    def _normalized(self, place: str, x: Tensor, first: int, *, shift: Tensor | None) -> Tensor:
        """x [l, S, B, G] of S time steps from `first` on, normalized, with statistics of every step by itself."""
        level, steps = self.piece.normalization, x.shape[1]
        gamma = self.params[f"{place}_{self.number}.gamma"][self.lanes]
        affine = Affine(
            gamma=_every_step(gamma, steps) if learns_scale(level) else None,
            beta=_every_step(shift, steps) if shift is not None and learns_shift(level) else None,
        )
        running = self._running(f"{place}_{self.number}", first, steps) if keeps_statistics(level) else None
        y = normalize_units(x.flatten(0, 1), level, affine, running, self.pass_)
        if running is not None and self.pass_.training and self.pass_.moves_statistics:
            self._keep(f"{place}_{self.number}", first, steps, running)
        return y.view(x.shape)

    def _running(self, name: str, first: int, steps: int) -> RunningStatistics:
        """Copies [l S, G] of the running statistics of these time steps; behind the last trained one, of that one."""
        first = min(first, self.trained_steps - 1)
        times = slice(first, first + steps)
        known = [self.statistics[f"{name}.running_{word}"][self.lanes, times] for word in ("mean", "var")]
        mean, var = (torch.cat([of, of[:, -1:].expand(-1, steps - of.shape[1], -1)], 1).flatten(0, 1) for of in known)
        return RunningStatistics(mean=mean, var=var)

    def _keep(self, name: str, first: int, steps: int, running: RunningStatistics) -> None:
        assert first + steps <= self.trained_steps, "statistics move with the sequences of the training"
        for word, moved in (("mean", running.mean), ("var", running.var)):
            kept = self.statistics[f"{name}.running_{word}"].data[self.lanes, first : first + steps]
            kept.copy_(moved.view_as(kept))


def _every_step(values: Tensor, steps: int) -> Tensor:
    """[l, G] repeated for each of S steps: [l S, G]."""
    return values.unsqueeze(1).expand(-1, steps, -1).flatten(0, 1)


class _Tapped(torch.autograd.Function):
    """Returns x; in the backward pass, `tap` gets the same gradient as x, though it has no part in the value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tap: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        return gradient, gradient


class TimeRecord:
    """One layer's z and h of all time steps as two tensors [L, T B, N], time outer, handed to the trace.

    Where a graph is built they are leaves of it: torch.autograd.grad of a loss by them is that by z and h.
    """

    def __init__(self, trace: Trace | None, like: Tensor, steps: int) -> None:
        """`like` [L, T B, N] is memory of the record's shape."""
        self._trace = trace
        lanes, _, width = like.shape
        self._wholes = [] if trace is None else [like, torch.empty_like(like)]
        for whole in self._wholes:
            whole.requires_grad_(torch.is_grad_enabled())
        self._by_step = [whole.view(lanes, steps, -1, width).unbind(1) for whole in self._wholes]

    def preactivation(self, z: Tensor, step: int) -> Tensor:
        """z [L, B, N] of a time step, noted."""
        return self._noted(0, z, step)

    def activation(self, h: Tensor, step: int) -> Tensor:
        """h [L, B, N] of a time step, noted."""
        return self._noted(1, h, step)

    def _noted(self, which: int, x: Tensor, step: int) -> Tensor:
        if not self._by_step:
            return x
        place = self._by_step[which][step]
        place.data.copy_(x.detach())
        if not torch.is_grad_enabled():
            return x
        noted: Tensor = _Tapped.apply(x, place)  # type: ignore[no-untyped-call] # torch gives it no types
        return noted

    def close(self) -> None:
        """All steps are noted: the trace has the layer."""
        if self._trace is not None:
            z, h = self._wholes
            self._trace.preactivations.append(z)
            self._trace.activations.append(h)
