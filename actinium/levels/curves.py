"""An expression of z as numbers: its values and derivative on a grid, and its gain.

Derivatives are exact: every operation carries the pair (f, df/dz). At kinks they are what torch's autograd gives: 0 for
`relu` and `abs` at 0, the mean of both sides for `min` and `max` (torch.minimum and torch.maximum), the derivative of
its first argument for `clip` at its bounds (torch.clamp).
"""

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from actinium.definitions import LevelDefinition
from actinium.levels.expression import VARIABLE, Expression, parse, value

Array: TypeAlias = NDArray[np.float64]
Dual: TypeAlias = tuple[Array, Array]


def _chained(function: Callable[[Array], Array], derivative: Callable[[Array], Array]) -> Callable[[Dual], Dual]:
    return lambda a: (function(a[0]), derivative(a[0]) * a[1])


def _compared(holds: Callable[[Array, Array], NDArray[np.bool_]]) -> Callable[[Dual, Dual], Dual]:
    return lambda a, b: (holds(a[0], b[0]).astype(np.float64), np.zeros_like(a[0]))


def _power(a: Dual, b: Dual) -> Dual:
    constant = not b[1].any()
    through_base = b[0] * a[0] ** (b[0] - 1.0) * a[1]
    power = a[0] ** b[0]
    return power, through_base if constant else through_base + power * np.log(a[0]) * b[1]


def _larger(a: Dual, b: Dual) -> Dual:
    slope = np.where(a[0] > b[0], a[1], np.where(a[0] < b[0], b[1], 0.5 * (a[1] + b[1])))
    return np.maximum(a[0], b[0]), slope


def _negative(a: Dual) -> Dual:
    return -a[0], -a[1]


def _smaller(a: Dual, b: Dual) -> Dual:
    return _negative(_larger(_negative(a), _negative(b)))


def _clipped(x: Dual, low: Dual, high: Dual) -> Dual:
    inside = (x[0] >= low[0]) & (x[0] <= high[0])
    above = (x[0] > high[0]) | (high[0] < low[0])
    outside = np.where(above, high[1], np.where(low[0] < high[0], low[1], 0.0))
    return np.minimum(np.maximum(x[0], low[0]), high[0]), np.where(inside, x[1], outside)


OPERATIONS: Mapping[str, Callable[..., Dual]] = {
    "+": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "-": lambda a, b: (a[0] - b[0], a[1] - b[1]),
    "*": lambda a, b: (a[0] * b[0], a[1] * b[0] + a[0] * b[1]),
    "/": lambda a, b: (a[0] / b[0], (a[1] - a[0] / b[0] * b[1]) / b[0]),
    "**": _power,
    "negative": _negative,
    "<": _compared(np.less),
    "<=": _compared(np.less_equal),
    ">": _compared(np.greater),
    ">=": _compared(np.greater_equal),
    "==": _compared(np.equal),
    "!=": _compared(np.not_equal),
    "where": lambda c, a, b: (np.where(c[0] != 0, a[0], b[0]), np.where(c[0] != 0, a[1], b[1])),
    "exp": _chained(np.exp, np.exp),
    "log": _chained(np.log, lambda x: 1.0 / x),
    "sqrt": _chained(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "abs": _chained(np.abs, np.sign),
    "sin": _chained(np.sin, np.cos),
    "cos": _chained(np.cos, lambda x: -np.sin(x)),
    "tanh": _chained(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "sigmoid": _chained(expit, lambda x: expit(x) * expit(-x)),
    "relu": _chained(lambda x: np.maximum(x, 0.0), lambda x: (x > 0).astype(np.float64)),
    "softplus": _chained(lambda x: np.logaddexp(0.0, x), expit),
    "erf": _chained(erf, lambda x: 2.0 / math.sqrt(math.pi) * np.exp(-(x**2))),
    "min": _smaller,
    "max": _larger,
    "clip": _clipped,
}


def curve(expression: Expression, parameters: Mapping[str, float], z: Array) -> Dual:
    """The values and the derivative at every z; not finite where the expression is not."""

    def constant(number: float) -> Dual:
        return np.full_like(z, number), np.zeros_like(z)

    known = {name: constant(number) for name, number in parameters.items()} | {VARIABLE: (z, np.ones_like(z))}
    with np.errstate(all="ignore"):
        return value(expression, known, constant, OPERATIONS)


def gain(expression: Expression, parameters: Mapping[str, float]) -> float | None:
    """1 / sqrt(E f(Z)^2), Z ~ N(0, 1): the sqrt(fan_in Var w) that keeps a second moment of 1 (He et al. 2015).

    None where the moment is 0 or not finite.
    """
    return _gain_of(second_moment(expression, parameters))


def second_moment(expression: Expression, parameters: Mapping[str, float]) -> float:
    """E f(Z)^2, Z ~ N(0, 1), by the trapezoid rule on [-12, 12]."""
    z = np.linspace(-12.0, 12.0, 24_001)
    values, _ = curve(expression, parameters, z)
    with np.errstate(all="ignore"):
        return float(np.trapezoid(values**2 * np.exp(-0.5 * z**2), z)) / math.sqrt(2.0 * math.pi)


def _gain_of(moment: float) -> float | None:
    return 1.0 / math.sqrt(moment) if math.isfinite(moment) and moment > 0 else None


REACH, GRID = 4.0, 161
"""An activation is drawn at so many points, evenly spaced on [-REACH, REACH]."""


def drawing(level: LevelDefinition) -> dict[str, Any]:
    """`ratio`, `gain` and `curve`, {z, function, derivative}, of an activation at its defaults; null where not finite.

    The curve of one that makes two channels of one has `second_function` and `second_derivative` as well. The gain is
    of the mean over the outputs.
    """
    numbers: dict[str, float] = {
        name: parameter.default
        for name, parameter in level.parameters.items()
        if isinstance(parameter.default, int | float)
    }
    formulas = (level.formula, level.second_formula) if level.second_formula else (level.formula,)
    words = set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", " ".join(formulas)))
    used = {name: number for name, number in (numbers | dict(level.drawn_at)).items() if name in words}
    return {"ratio": float(level.ratio), **_drawn(formulas, tuple(used.items()), level.second_moment)}


PREFIXES = ("", "second_")
"""Before the names of the curves of each half of the outputs."""


@lru_cache(maxsize=256)
def _drawn(
    formulas: tuple[str, ...], parameters: tuple[tuple[str, float], ...], moment: float | None
) -> dict[str, Any]:
    numbers, z = dict(parameters), np.linspace(-REACH, REACH, GRID)
    curves, moments = {"z": _plain(z)}, []
    for prefix, formula in zip(PREFIXES, formulas, strict=False):
        expression = parse(formula, list(numbers))
        function, derivative = curve(expression, numbers, z)
        curves |= {f"{prefix}function": _plain(function), f"{prefix}derivative": _plain(derivative)}
        moments.append(second_moment(expression, numbers))
    return {"gain": _gain_of(sum(moments) / len(moments) if moment is None else moment), "curve": curves}


def _plain(values: Array) -> list[float | None]:
    return [float(f"{number:.6g}") if math.isfinite(number) else None for number in values.tolist()]
