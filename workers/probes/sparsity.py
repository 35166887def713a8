"""Sparsity of a layer's outputs (SCIENCE D5), of their sizes a = |h|: 1 where a single value of n is not zero, 0 where
all are equal.

    Treves & Rolls 1991, as normalized by Vinje & Gallant 2000:  (1 - mean(a)^2 / mean(a^2)) / (1 - 1/n)
    Hoyer 2004:                                                  (sqrt n - |a|_1 / |a|_2) / (sqrt n - 1)

Lifetime: of a unit's n values over examples (and positions), averaged over units. Population: of the n units at one
example (and position), averaged over those. What is silent throughout has no sparsity and is left out; NaN where
nothing is left, or n is 1. The share of zeros is of all values.
"""

import torch
from torch import Tensor

from workers.probes.chunk import LayerChunk
from workers.probes.family import Family
from workers.probes.gathering import Gathered
from workers.probes.schedule import averaged_steps


def treves_rolls(sizes: Tensor, squares: Tensor, n: int) -> Tensor:
    """From sum a and sum a^2 of n values; NaN where all are zero."""
    return (1.0 - sizes.square() / (n * squares)) / (1.0 - 1.0 / n) if n > 1 else torch.full_like(sizes, torch.nan)


def hoyer(sizes: Tensor, squares: Tensor, n: int) -> Tensor:
    """From sum a and sum a^2 of n values; NaN where all are zero."""
    return (n**0.5 - sizes / squares.sqrt()) / (n**0.5 - 1.0) if n > 1 else torch.full_like(sizes, torch.nan)


class OutputSparsity:
    """Lifetime, population and zeros, [L] each."""

    def __init__(self) -> None:
        self._sizes: Tensor | None = None
        self._squares: Tensor | None = None
        self._zeros: Tensor | None = None
        self._samples = 0
        self._population: list[Tensor] = []
        """Of each part, [L, 4]: sums over examples of both measures, each with how many examples it sums."""

    def add(self, chunk: LayerChunk) -> None:
        """Add up sizes, squares and zeros by unit; measure each example."""
        sizes = chunk.total(torch.abs(chunk.activation, out=chunk.scratch_as(chunk.activation)))
        squares = chunk.total(torch.square(chunk.activation, out=chunk.scratch_as(chunk.activation)))
        zeros = chunk.total(torch.eq(chunk.activation, 0, out=chunk.scratch_as(chunk.activation)))
        self._sizes = sizes if self._sizes is None else self._sizes + sizes
        self._squares = squares if self._squares is None else self._squares + squares
        self._zeros = zeros if self._zeros is None else self._zeros + zeros
        self._samples += chunk.samples
        unit_axis = 2
        across_sizes = chunk.activation.abs().sum(unit_axis, dtype=torch.float64)
        across_squares = chunk.activation.double().square().sum(unit_axis)
        units = chunk.activation.shape[unit_axis]
        axes = (1,) if chunk.lane_axis == 0 else (0, 2, 3)
        sums = [
            part
            for measure in (treves_rolls, hoyer)
            for values in [measure(across_sizes, across_squares, units)]
            for part in (values.nansum(axes), torch.isfinite(values).sum(axes))
        ]
        self._population.append(torch.stack(sums, 1))

    def by_layer(self) -> dict[str, Tensor]:
        """[L] by series name."""
        assert self._sizes is not None and self._squares is not None and self._zeros is not None
        population = torch.stack(self._population).sum(0)
        return {
            "lifetime_sparsity": treves_rolls(self._sizes, self._squares, self._samples).nanmean(1),
            "lifetime_hoyer": hoyer(self._sizes, self._squares, self._samples).nanmean(1),
            "population_sparsity": population[:, 0] / population[:, 1],
            "population_hoyer": population[:, 2] / population[:, 3],
            "zero_share": self._zeros.mean(1) / self._samples,
        }


SPARSITY = Family(name="sparsity", steps=averaged_steps, gather=lambda look: Gathered(layers=(OutputSparsity(),)))
