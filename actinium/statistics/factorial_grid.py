"""The grid that a study's factors span."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actinium.paths import FactorValue, canonical_value
from actinium.statistics.intervals import IntArray
from actinium.study import DesignCell, StudySpec


@dataclass(frozen=True, kw_only=True)
class FactorialGrid:
    """The cells that the factors span, G of them: their positions among the study's cells, and each one's level of
    each factor as a number, `levels` [G, K] by `paths`. The cells of `include` stand outside.
    """

    positions: list[int]
    paths: tuple[str, ...]
    levels: IntArray


def factorial_grid(spec: StudySpec, cells: Sequence[DesignCell]) -> FactorialGrid:
    """The study's factorial grid; cells that were excluded or are invalid are missing from it."""
    paths = tuple(spec.factors)
    numbers = [
        {level_key(canonical_value(path, value)): number for number, value in enumerate(spec.factors[path])}
        for path in paths
    ]
    positions: list[int] = []
    levels: list[list[int]] = []
    for position, cell in enumerate(cells):
        if len(cell.cell) == len(paths) and all(path in cell.cell for path in paths):
            found = [known.get(level_key(cell.cell[path]), -1) for path, known in zip(paths, numbers, strict=True)]
            if -1 not in found:
                positions.append(position)
                levels.append(found)
    return FactorialGrid(
        positions=positions, paths=paths, levels=np.array(levels, dtype=np.int64).reshape(len(positions), len(paths))
    )


def level_key(value: FactorValue) -> str:
    """A text that is the same for equal levels: 2, 2.0 and "2" have one."""
    if value is None or isinstance(value, bool | dict):
        return json.dumps(value, sort_keys=True)
    try:
        return repr(float(value))
    except ValueError:
        return repr(value)
