"""Cells of a study that are the same experiment under two names: equal configs, and configs that train alike.

Equal configs (arrays equal under two names, `2` and `2.0`) are one cell of the design. Configs that differ only in what
a trial never uses (the momentum of adam, adamw without weight decay) stay cells of their own, with equal numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actinium.paths import Cell
from actinium.trial import Task, Training, TrialConfig

MOST_TOLD = 100
"""Pairs of levels that are told."""

SAME_ARRAYS = "the same numbers under two names"
SAME_CONFIG = "the same config"


@dataclass(frozen=True, kw_only=True)
class EqualLevels:
    """Levels that mean the same: those in which cells differ that are equal otherwise, by path.

    `merged`: their configs are equal, and the `cells` of `levels` are not run beside those of `same_as`; else all are
    run, and give equal numbers.
    """

    levels: Cell
    same_as: Cell
    cells: int
    merged: bool
    reason: str


def unused(config: TrialConfig) -> dict[str, str]:
    """The settings that change no number of this trial, by path, each with the reason."""
    training, task = config.training, config.task
    dataset = task.definition()
    reasons: dict[str, str] = {}
    if training.optimizer == "sgd":
        reasons |= dict.fromkeys(
            ("training.beta1", "training.beta2", "training.adam_epsilon"), "sgd has no such setting"
        )
    else:
        reasons["training.momentum"] = f"{training.optimizer} has beta1 in its place"
    if training.optimizer in ("adam", "adamw") and training.weight_decay == 0.0:
        reasons["training.optimizer"] = "without weight_decay adamw is adam; torch's own default for AdamW is 0.01"
    if training.learning_rate_rule == "fixed":
        reasons["training.reference_batch_size"] = "learning_rate_rule is fixed"
    if dataset.official_test:
        reasons["task.test_fraction"] = f"{task.dataset} has a test part of its own"
    if dataset.official_validation:
        reasons["task.validation_fraction"] = f"{task.dataset} has a validation part of its own"
    if task.scaling != "zca":
        reasons["task.zca_epsilon"] = "scaling is not zca"
    return reasons


NEVER_USED = (
    "training.optimizer",
    "training.momentum",
    "training.beta1",
    "training.beta2",
    "training.adam_epsilon",
    "training.reference_batch_size",
    "task.test_fraction",
    "task.validation_fraction",
    "task.zca_epsilon",
)
"""What `unused` may name: a design in which none of them varies is not searched."""


DOCUMENTS: Mapping[str, type[Training | Task]] = {"training": Training, "task": Task}


def training_identity(config: TrialConfig) -> str:
    """Equal for configs that differ only in what they do not use, which is set to its default."""
    training: dict[str, Any] = {}
    task: dict[str, Any] = {}
    for path in unused(config):
        root, _, name = path.partition(".")
        if root == "training":
            training[name] = "adam" if name == "optimizer" else Training.model_fields[name].default
        else:
            task[name] = Task.model_fields[name].default
    parts = {
        "training": config.training.model_copy(update=training),
        "task": config.task.model_copy(update=task),
    }
    return config.model_copy(update=parts).digest()


def equal_levels(
    merged: Iterable[tuple[Cell, Cell]], cells: Sequence[tuple[Cell, TrialConfig]]
) -> tuple[EqualLevels, ...]:
    """What is equal in a design: `merged` are cells as they were written, each with the one of the same config
    that stays; `cells` are those that are run.
    """
    found = _Pairs()
    for cell, kept in merged:
        if differing(cell, kept)[0]:
            found.add(cell, kept, merged=True, reason=SAME_ARRAYS if _of_names(cell, kept) else SAME_CONFIG)
    first: dict[str, tuple[Cell, TrialConfig]] = {}
    varied = {path for cell, _ in cells for path in cell}
    searched = any(_touches(path, varied) for path in NEVER_USED)
    for cell, config in cells if searched else ():
        identity = training_identity(config)
        if identity in first:
            other, _ = first[identity]
            reasons = unused(config)
            changed = {path for side in differing(cell, other) for path in side}
            why = "; ".join(sorted({text for path, text in reasons.items() if _touches(path, changed)}))
            found.add(cell, other, merged=False, reason=why or "they differ only in what is not used")
        else:
            first[identity] = (cell, config)
    return found.told()


def without_effect(configs: Sequence[TrialConfig]) -> list[str]:
    """A sentence for each setting that somebody changed and that changes no number of any trial."""
    said = []
    for path in NEVER_USED:
        root, _, name = path.partition(".")
        values = {getattr(getattr(config, root), name) for config in configs}
        if len(values) > 1:
            continue  # what varies is told as equal levels
        (value,) = values
        changed = value == "adamw" if name == "optimizer" else value != DOCUMENTS[root].model_fields[name].default
        reasons = {unused(config).get(path) for config in configs} if changed else {None}
        if None not in reasons:
            said.append(f"{path}: {value} changes nothing: {'; '.join(sorted(map(str, reasons)))}")
    return said


class _Pairs:
    """Pairs of levels with how many cells have them."""

    def __init__(self) -> None:
        self._found: dict[str, EqualLevels] = {}

    def add(self, cell: Cell, kept: Cell, *, merged: bool, reason: str) -> None:
        levels, same_as = differing(cell, kept)
        key = repr((levels, same_as, merged))
        cells = self._found[key].cells + 1 if key in self._found else 1
        if cells > 1 or len(self._found) < MOST_TOLD:
            self._found[key] = EqualLevels(levels=levels, same_as=same_as, cells=cells, merged=merged, reason=reason)

    def told(self) -> tuple[EqualLevels, ...]:
        return tuple(self._found.values())


def differing(cell: Cell, other: Cell) -> tuple[Cell, Cell]:
    """The parts of two cells that are not the same."""
    return (
        {path: value for path, value in cell.items() if path not in other or _other(other[path], value)},
        {path: value for path, value in other.items() if path not in cell or _other(cell[path], value)},
    )


def _other(a: object, b: object) -> bool:
    """Whether two values are written otherwise: 2, 2.0 and "2" are."""
    return type(a) is not type(b) or a != b


def _of_names(cell: Cell, kept: Cell) -> bool:
    return "task.dataset" in differing(cell, kept)[0] or any(
        isinstance(value, Mapping) and "dataset" in value for value in differing(cell, kept)[0].values()
    )


def _touches(path: str, changed: set[str]) -> bool:
    return any(path == other or path.startswith(f"{other}.") for other in changed)
