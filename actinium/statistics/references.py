"""Which cell is compared with which, by the study's reference levels; and the grid that its factors span."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actinium.paths import FactorValue, canonical_value, matches, value_at
from actinium.statistics.intervals import IntArray
from actinium.study import DesignCell, StudySpec, reference_pattern

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class References:
    """Cells by position. `pairs`: each cell with its reference cell, which has the reference levels and every other
    factor equal; a cell whose reference cell is not run has no pair. `cell`: the one that stands for the reference, of
    those with the reference levels the first with the largest batch.

    Where all cells have the reference levels (a study of depths, say) each is compared with that one.
    """

    pairs: list[Pair]
    cell: int


def references(spec: StudySpec, cells: Sequence[DesignCell]) -> References:
    """The pairs of cells that the study's reference levels define."""
    pattern = reference_pattern(spec, tuple(cells))
    agreeing = _matching(cells, pattern)
    chosen = max(agreeing or range(len(cells)), key=lambda i: (cells[i].config.training.batch_size, -i))
    varied = [
        path
        for path in dict.fromkeys(path for cell in cells for path in cell.cell)
        if not any(path == given or path.startswith(given + ".") for given in pattern)
    ]
    others = [tuple(value_at(cell.config, path) for path in varied) for cell in cells]
    first: dict[tuple[Any, ...], int] = {}
    for position in agreeing:
        first.setdefault(others[position], position)
    pairs = [(i, first[key]) for i, key in enumerate(others) if first.get(key, i) != i]
    if not pairs and len(agreeing) == len(cells):
        pairs = [(i, chosen) for i in range(len(cells)) if i != chosen]
    return References(pairs=pairs, cell=chosen)


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


def _matching(cells: Sequence[DesignCell], pattern: dict[str, FactorValue]) -> list[int]:
    known: dict[tuple[Any, ...], bool] = {}
    found = []
    for position, cell in enumerate(cells):
        key = tuple(value_at(cell.config, path) for path in pattern)
        if key not in known:
            known[key] = matches(cell.config, pattern)
        if known[key]:
            found.append(position)
    return found
