"""Activations that people wrote, as tensors: the parsed expression, with torch's operations.

Where `where` does not take a side, that side must still have a finite derivative: 0 times infinity is not a number.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import Activation
from actinium.levels.expression import Expression, parse, value
from workers.activations.forms import Learned, LearnedParameter

REACH, GRID = 10.0, 401
"""The steepest slope of a written activation is the largest on a grid of so many points on [-REACH, REACH]."""

PREFIX = "phi_"
"""Before a written parameter's name among a layer's tensors, where `weight` and others have theirs."""


def _compared(holds: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda a, b: holds(a, b).to(a.dtype)


OPERATIONS: Mapping[str, Callable[..., Tensor]] = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "/": torch.div,
    "**": torch.pow,
    "negative": torch.neg,
    "<": _compared(torch.lt),
    "<=": _compared(torch.le),
    ">": _compared(torch.gt),
    ">=": _compared(torch.ge),
    "==": _compared(torch.eq),
    "!=": _compared(torch.ne),
    "where": lambda c, a, b: torch.where(c != 0, a, b),
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softplus": lambda x: functional.softplus(x, threshold=40.0),
    "erf": torch.erf,
    "min": torch.minimum,
    "max": torch.maximum,
    "clip": torch.clamp,
}


def _fields(level: Activation) -> Mapping[str, Mapping[str, Any]]:
    fields: Mapping[str, Mapping[str, Any]] = level.parameters["parameters"]
    return fields


@lru_cache(maxsize=1024)
def _parsed(text: str, names: tuple[str, ...]) -> Expression:
    return parse(text, names)


def written(z: Tensor, level: Activation, learned: Learned) -> Tensor:
    """What the expression is worth at z."""
    fields = _fields(level)
    known = {"z": z}
    for name, field in fields.items():
        known[name] = learned[PREFIX + name] if field["learnable"] else z.new_full((), field["init"])
    expression = _parsed(str(level.parameters["expr"]), tuple(fields))
    return value(expression, known, lambda number: z.new_full((), number), OPERATIONS)


@torch.enable_grad()
def written_derivative(z: Tensor, level: Activation, learned: Learned) -> Tensor:
    """d/dz by autograd; a constant for everything outside."""
    leaf = z.detach().requires_grad_()
    h = written(leaf, level, {name: parameter.detach() for name, parameter in learned.items()})
    if not h.requires_grad:
        return torch.zeros_like(z)
    (slope,) = torch.autograd.grad(h.sum(), leaf, materialize_grads=True)
    return slope


def written_steepest(level: Activation, learned: Learned) -> Tensor | float:
    """max |phi'| over the grid, where it is finite."""
    if not learned:
        return _steepest_fixed(level)
    like = next(iter(learned.values()))
    batch_axis = 1 if like.dim() == 3 else 0
    axes = [1] * like.dim()
    axes[batch_axis] = GRID
    grid = torch.linspace(-REACH, REACH, GRID, dtype=like.dtype, device=like.device).view(axes)
    everything = sum(learned.values(), start=grid)
    slope = written_derivative(grid.expand_as(everything), level, learned).abs()
    return torch.where(slope.isfinite(), slope, 0.0).amax(batch_axis, keepdim=True)


@lru_cache(maxsize=1024)
def _steepest_fixed(level: Activation) -> float:
    slope = written_derivative(torch.linspace(-REACH, REACH, GRID, dtype=torch.float64), level, {}).abs()
    return float(torch.where(slope.isfinite(), slope, 0.0).amax())


def written_parameters(level: Activation) -> Mapping[str, LearnedParameter]:
    """Those that are learned."""
    return {
        PREFIX + name: LearnedParameter(start=field["init"], shared=field["per"] == "layer")
        for name, field in _fields(level).items()
        if field["learnable"]
    }
