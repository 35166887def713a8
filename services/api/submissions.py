"""What a submitted study is answered: what it will be, and what a person should know before it runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from actinium.datasets.official import OFFICIAL, present
from actinium.equal_levels import EqualLevels, without_effect
from actinium.job import StudyState
from actinium.paths import Cell
from actinium.report import ContrastFamily
from actinium.statistics.families import families_of, too_few_seeds
from actinium.study import Design
from services.api.answers import estimate, invalid_documents
from services.api.documents import Answer, Estimate, InvalidDesignDocument


class EqualLevelsDocument(Answer):
    """Levels of a study that mean the same, by path. `merged`: their configs are equal, and the `cells` that have
    `levels` are not run beside those of `same_as`; else all are run, and give equal numbers.
    """

    levels: Cell
    same_as: Cell
    cells: int
    merged: bool
    reason: str


class PreflightDocument(Answer):
    """What a cell's untrained network does: factors a layer, towards the output for signals and towards the input for
    gradients (null for one hidden layer, or zeros), root mean squares layer by layer, on `examples` training examples
    or, where the dataset's files are missing (`inputs`: normal), on noise. `memory_bytes` of one trial, at least. Of
    recurrent networks also the gradients' factor a time step, towards the past, and how many steps there are.
    """

    cell: Cell
    forward_factor: float | None
    backward_factor: float | None
    time_factor: float | None = None
    time_steps: int | None = None
    forward_rms: Sequence[float | None]
    gradient_rms: Sequence[float | None]
    born_dead_rate: float | None
    memory_bytes: int
    examples: int
    inputs: Literal["dataset", "normal"]
    warnings: Sequence[str]


class Submitted(Answer):
    """A study that was accepted, `reused` of its trials from the history; with `dry_run`, one that would be: `id` and
    `state` are null, and the history is not asked. `notices`: what else to know before it runs, in sentences.
    """

    id: int | None
    name: str
    state: StudyState | None
    cells: int
    trials: int
    reused: int = 0
    invalid_designs: Sequence[InvalidDesignDocument]
    equal_levels: Sequence[EqualLevelsDocument] = ()
    families: Sequence[ContrastFamily] = ()
    """What will be compared as one family, and the seeds that it needs."""
    notices: Sequence[str] = ()
    estimate: Estimate
    links: Mapping[str, str | None]
    preflight: Sequence[PreflightDocument] = ()
    """With `dry_run`: the cells of the first different networks, those that were ready in time."""
    preflight_missing: str | None = None
    """Why cells are missing in `preflight`; null where none is."""


def submitted(design: Design, *, data_root: Path, links: Mapping[str, str | None]) -> Submitted:
    """What a design will be; `data_root` is where the service looks for datasets' files."""
    seeds = len(design.spec.seed_list())
    trials = seeds * len(design.cells)
    families = families_of(design)
    short = too_few_seeds(families)
    return Submitted(
        id=None,
        name=design.spec.name,
        state=None,
        cells=len(design.cells),
        trials=trials,
        invalid_designs=invalid_documents(design.invalid),
        equal_levels=[_equal_document(levels) for levels in design.equal],
        families=families,
        notices=[
            *missing_files(design, data_root),
            *without_effect([cell.config for cell in design.cells]),
            *([short] if short else []),
        ],
        estimate=estimate(trials, [(cell.config, seeds) for cell in design.cells]),
        links=links,
    )


def missing_files(design: Design, data_root: Path) -> list[str]:
    """A sentence for each dataset that the design needs and whose files are not under `data_root`."""
    needed: dict[str, None] = {}
    for cell in design.cells:
        config = cell.config
        if config.task.stored is None:
            needed[config.task.dataset] = None
        if config.initialization.name == "transfer":
            needed[str(config.initialization.parameters["source"])] = None
    return [
        f"the files of {name} are not where the service looks for them: its trials will fail until "
        f"`actinium data fetch {name}` has brought them"
        for name in needed
        if name in OFFICIAL and not present(name, data_root)
    ]


def _equal_document(levels: EqualLevels) -> EqualLevelsDocument:
    return EqualLevelsDocument(
        levels=levels.levels,
        same_as=levels.same_as,
        cells=levels.cells,
        merged=levels.merged,
        reason=levels.reason,
    )
