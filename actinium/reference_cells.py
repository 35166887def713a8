"""Which cell is compared with which, by the study's reference levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actinium.paths import Cell, Matcher, value_at
from actinium.trial import TrialConfig

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


def references(pattern: Cell, cells: Sequence[tuple[Cell, TrialConfig]]) -> References:
    """The pairs of cells that the reference levels define."""
    configs = [config for _, config in cells]
    agreeing = _matching(configs, pattern)
    chosen = max(agreeing or range(len(cells)), key=lambda i: (configs[i].training.batch_size, -i))
    varied = [
        path
        for path in dict.fromkeys(path for levels, _ in cells for path in levels)
        if not any(path == given or path.startswith(given + ".") for given in pattern)
    ]
    others = [tuple(value_at(config, path) for path in varied) for config in configs]
    first: dict[tuple[Any, ...], int] = {}
    for position in agreeing:
        first.setdefault(others[position], position)
    pairs = [(i, first[key]) for i, key in enumerate(others) if first.get(key, i) != i]
    if not pairs and len(agreeing) == len(cells):
        pairs = [(i, chosen) for i in range(len(cells)) if i != chosen]
    return References(pairs=pairs, cell=chosen)


def _matching(configs: Sequence[TrialConfig], pattern: Cell) -> list[int]:
    is_reference = Matcher(pattern)
    known: dict[tuple[Any, ...], bool] = {}
    found = []
    for position, config in enumerate(configs):
        key = tuple(value_at(config, path) for path in pattern)
        if key not in known:
            known[key] = is_reference(config)
        if known[key]:
            found.append(position)
    return found
