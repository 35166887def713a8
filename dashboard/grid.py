"""The cells of a study as a grid of factors, and what of it a chart shows and how it tells levels apart."""

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
    """Cells in the report's order; `levels` holds each varying factor's level words in the study's order."""

    cells: tuple[Cell, ...]
    levels: Mapping[str, tuple[str, ...]]
    constant: Mapping[str, str]

    @classmethod
    def of(cls, cells: Iterable[Cell], *, factors: Mapping[str, Sequence[Any]] | None = None) -> "Grid":
        """The grid of these cells. `factors` (the study's) fixes the order of levels where it names them."""
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
        """A row a cell (its number the index), a column of level words a varying factor."""
        columns = {
            path: [level_word(path, cell[path]) if path in cell else BASE for cell in self.cells]
            for path in self.levels
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.cells), name="cell"))

    def numbers(self) -> dict[str, int]:
        """A cell's number by its key."""
        return {cell_key(cell): number for number, cell in enumerate(self.cells)}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a chart shows: a colour a level of one factor, a facet a level of another, and the levels kept of each.

    Lines that share colour and facet (other factors with several levels kept) differ by dash and symbol.
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
        """Factors that neither colour nor facet tells, of which several levels are shown."""
        return tuple(p for p in self.grid.levels if p not in (self.colour, self.facet) and len(self.kept(p)) > 1)

    def held(self) -> dict[str, str]:
        """Factors of which one level is shown, with that level."""
        return {path: self.kept(path)[0] for path in self.grid.levels if len(self.kept(path)) == 1}

    def facets(self) -> tuple[str, ...]:
        """The facets' titles; one empty title where nothing is faceted."""
        return self.kept(self.facet) if self.facet else ("",)

    def colours(self) -> dict[str, str]:
        """The colour of each level of the colour factor; the same whatever is shown."""
        return palette.colours(self.grid.levels[self.colour]) if self.colour else {}

    def cells(self) -> pd.DataFrame:
        """The shown cells: `cell` and their level words."""
        return self.select(pd.DataFrame({"cell": range(len(self.grid.cells))}))

    def select(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows (with a `cell` column) of shown cells, the factors' level words joined on."""
        joined = rows.join(self.grid.frame(), on="cell")
        for path in self.grid.levels:
            joined = joined[joined[path].isin(self.kept(path))]
        return joined


RANKED = ("normalization", "activation", "initialization")
"""What is told apart first. Normalizations take the colours, as the chart of small batches has no other factor."""


def default_look(grid: Grid, *, reference: Cell | None = None) -> Look:
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
    return Look(grid=grid, colour=colour, facet=facet, shown=shown)
