"""Weights at step 0: one entry a level, under the names of `actinium.levels.INITIALIZATIONS`.

Every level starts from the same standard normal draws of a (seed, layer), so that cells of one seed differ by
their rule alone (common random numbers). Shapes: a fully connected weight is [N_in, N_out], a kernel
[C_out, C_in, k, k].
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from actinium.levels import Initialization, ParameterValue


@dataclass(frozen=True, kw_only=True)
class Fans:
    """Terms that one output, and one input, of the layer takes part in; for kernels k^2 times the channels."""

    fan_in: int
    fan_out: int

    def of(self, mode: ParameterValue) -> float:
        """`fan_in`, `fan_out`, or half their sum (`average`)."""
        return {"fan_in": self.fan_in, "fan_out": self.fan_out, "average": (self.fan_in + self.fan_out) / 2}[str(mode)]


def fans_of(shape: tuple[int, ...]) -> Fans:
    """The fans of a weight's shape."""
    if len(shape) == 2:
        return Fans(fan_in=shape[0], fan_out=shape[1])
    taps = math.prod(shape[2:])
    return Fans(fan_in=shape[1] * taps, fan_out=shape[0] * taps)


def uniform_of(draws: Tensor) -> Tensor:
    """Standard normal draws as uniform ones of variance 1, draw by draw, through the normal distribution function."""
    share: Tensor = torch.special.ndtr(draws.double())
    return ((2.0 * share - 1.0) * math.sqrt(3.0)).to(draws.dtype)


def _scaled(draws: Tensor, level: Initialization, variance: float) -> Tensor:
    shaped = uniform_of(draws) if level.parameters["distribution"] == "uniform" else draws
    return shaped * math.sqrt(variance)


def _xavier(draws: Tensor, level: Initialization, fans: Fans) -> Tensor:
    return _scaled(draws, level, 1.0 / fans.of(level.parameters["mode"]))


def _he(draws: Tensor, level: Initialization, fans: Fans) -> Tensor:
    return _scaled(
        draws, level, 2.0 / ((1.0 + level.number("negative_slope") ** 2) * fans.of(level.parameters["mode"]))
    )


def _orthogonal(draws: Tensor, level: Initialization, fans: Fans) -> Tensor:
    """The Q of a QR decomposition, its signs fixed by R's diagonal so that it is Haar distributed (Mezzadri 2007)."""
    matrix = draws.double() if draws.dim() == 2 else draws.double().flatten(1)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    q, r = torch.linalg.qr(tall)
    q = q * torch.where(torch.diagonal(r) < 0, -1.0, 1.0)
    oriented: Tensor = q if tall is matrix else q.T
    return (float(level.parameters.get("gain", 1.0)) * oriented).reshape(draws.shape).to(draws.dtype)


def _delta_orthogonal(draws: Tensor, level: Initialization, fans: Fans) -> Tensor:
    """Orthogonal at the centre tap of a kernel; a matrix is all centre."""
    if draws.dim() == 2:
        return _orthogonal(draws, level, fans)
    weight = torch.zeros_like(draws)
    row, column = draws.shape[2] // 2, draws.shape[3] // 2
    weight[:, :, row, column] = _orthogonal(draws[:, :, row, column], level, fans)
    return weight


INITIALIZERS: Mapping[str, Callable[[Tensor, Initialization, Fans], Tensor]] = {
    "zero": lambda draws, level, fans: torch.zeros_like(draws),
    "normal": lambda draws, level, fans: draws * level.number("std"),
    "lecun": lambda draws, level, fans: _scaled(draws, level, 1.0 / fans.fan_in),
    "xavier": _xavier,
    "he": _he,
    "orthogonal": _orthogonal,
    "delta_orthogonal": _delta_orthogonal,
    "lsuv": _orthogonal,
    "fixup": lambda draws, level, fans: draws * math.sqrt(2.0 / fans.of(level.parameters["mode"])),
    "greedy_autoencoder": lambda draws, level, fans: _started(draws, level),
    "transfer": lambda draws, level, fans: _started(draws, level),
    "rai": lambda draws, level, fans: draws * (level.number("scale") / math.sqrt(fans.fan_in)),
}


def _started(draws: Tensor, level: Initialization) -> Tensor:
    """By the rule from which a procedure starts."""
    return initial_weight(draws, Initialization.of(level.parameters["start"]))


def initial_weight(draws: Tensor, level: Initialization) -> Tensor:
    """A weight of the shape of `draws` (standard normal) by the level's rule."""
    return INITIALIZERS[level.name](draws, level, fans_of(tuple(draws.shape)))


def asymmetric_start(draws: Tensor, level: Initialization, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer by `rai`: of each unit's weights and bias, one is drawn from Beta(2, 1).

    The bias' own draws, the place among the fan_in + 1 and the Beta draw (the root of a uniform one) are `source`'s.
    """
    weight = initial_weight(draws, level)
    rows = weight.T if weight.dim() == 2 else weight.flatten(1)
    units, fan_in = rows.shape
    bias = torch.randn(units, 1, generator=source) * (level.number("scale") / math.sqrt(fan_in))
    place = torch.randint(fan_in + 1, (units, 1), generator=source)
    entries = torch.cat([rows, bias], 1).scatter(1, place, torch.rand(units, 1, generator=source).sqrt())
    chosen = entries[:, :-1]
    return (chosen.T.contiguous() if weight.dim() == 2 else chosen.reshape(weight.shape)), entries[:, -1]
