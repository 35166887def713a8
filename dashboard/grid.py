"""The cells of a study as a grid of factors, and how charts encode that grid by colour and by facet."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from actinium.paths import Cell, cell_key
from dashboard import palette
from dashboard.words import level_word

BASE = "(base)"
"""The level of a factor that a cell does not name: what the study document sets outside its factors."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The study's cells in the report's order, and its factors.

    `levels`: for each factor that varies, the words for its levels in the study's order. `constant`: the other
    factors, each with the word for its only level.
    """

    cells: tuple[Cell, ...]
    levels: Mapping[str, tuple[str, ...]]
    constant: Mapping[str, str]

    @classmethod
    def of(cls, cells: Iterable[Cell], *, factors: Mapping[str, Sequence[Any]] | None = None) -> "Grid":
        """The grid of these cells; levels stand in the order of the study's `factors`, numbers ascending."""
        listed = tuple(cells)
        paths = list(dict.fromkeys([*(factors or {}), *(path for cell in listed for path in cell)]))
        found: dict[str, tuple[str, ...]] = {}
        for path in paths:
            present: dict[str, Any] = {
                level_word(path, cell[path]) if path in cell else BASE: cell.get(path) for cell in listed
            }
            order = [level_word(path, value) for value in (factors or {}).get(path, [])]
            values = list(present.values())
            if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
                found[path] = tuple(sorted(present, key=lambda word: float(present[word])))
            else:
                found[path] = tuple([w for w in order if w in present] + [w for w in present if w not in order])
        return cls(
            cells=listed,
            levels={path: words for path, words in found.items() if len(words) > 1},
            constant={path: words[0] for path, words in found.items() if len(words) == 1},
        )

    def frame(self) -> pd.DataFrame:
        """A row for each cell, indexed by its number, and a column of level words for each factor that varies."""
        columns = {
            path: [level_word(path, cell[path]) if path in cell else BASE for cell in self.cells]
            for path in self.levels
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.cells), name="cell"))

    def numbers(self) -> dict[str, int]:
        """Each cell's number, by its `cell_key`."""
        return {cell_key(cell): number for number, cell in enumerate(self.cells)}


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a chart shows the grid: one factor's levels as colours, another's as facets (panels side by side).

    `shown` has the levels that are shown of each factor; a factor that it does not name is shown whole. Lines of one
    colour and facet, which differ in further factors, are told apart by dash and symbol.
    """

    grid: Grid
    colour: str | None = None
    facet: str | None = None
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def kept(self, path: str) -> tuple[str, ...]:
        """The levels of a factor that are shown, in the study's order."""
        wanted = self.shown.get(path) or self.grid.levels[path]
        return tuple(word for word in self.grid.levels[path] if word in wanted)

    def rest(self) -> tuple[str, ...]:
        """The factors with several levels shown that are neither colour nor facet; dash and symbol tell them apart."""
        return tuple(p for p in self.grid.levels if p not in (self.colour, self.facet) and len(self.kept(p)) > 1)

    def held(self) -> dict[str, str]:
        """The factors of which only one level is shown, with the word for it."""
        return {path: self.kept(path)[0] for path in self.grid.levels if len(self.kept(path)) == 1}

    def facets(self) -> tuple[str, ...]:
        """The titles of the facets; one empty title where there is no facet factor."""
        return self.kept(self.facet) if self.facet else ("",)

    def colours(self) -> dict[str, str]:
        """The colour of each level of the colour factor, which does not depend on what is shown."""
        return palette.colours(self.grid.levels[self.colour]) if self.colour else {}

    def cells(self) -> pd.DataFrame:
        """The cells that are shown: a column `cell` of their numbers, and a column of level words for each factor."""
        return self.select(pd.DataFrame({"cell": range(len(self.grid.cells))}))

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Those rows whose `cell` is shown, with a column of level words for each factor."""
        joined = rows.join(self.grid.frame(), on="cell")
        for path in self.grid.levels:
            joined = joined[joined[path].isin(self.kept(path))]
        return joined


RANKED = ("normalization", "activation", "initialization")
"""The order in which factors are given colour, then facet: the chart of small batches has normalizations only."""


def default_encoding(grid: Grid, *, reference: Cell | None = None) -> Encoding:
    """Normalizations in colour, activations side by side, everything else held at the reference's level.

    A factor that the reference does not name is held at its first level; the batch size at its largest, which is
    what degradation is measured from.
    """
    kinds = [path for path in RANKED if path in grid.levels]
    others = [path for path in grid.levels if path not in kinds]
    ranked = kinds + others
    colour = ranked[0] if ranked else None
    facet = ranked[1] if len(ranked) > 1 else None
    shown: dict[str, tuple[str, ...]] = {}
    for path in grid.levels:
        if path in (colour, facet):
            continue
        word = level_word(path, reference[path]) if reference and path in reference else None
        if word not in grid.levels[path]:
            word = grid.levels[path][-1] if path == "training.batch_size" else grid.levels[path][0]
        shown[path] = (word,)
    return Encoding(grid=grid, colour=colour, facet=facet, shown=shown)
