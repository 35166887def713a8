"""A study: a document that spans a grid of cells, each run with every seed."""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from actinium.datasets.names import Find, nothing_stored, settle
from actinium.datasets.table import DATASETS, StoredDataset
from actinium.equal_levels import EqualLevels, equal_levels
from actinium.errors import MOST_TOLD, FieldError, InvalidInput
from actinium.explain import explain, faults_error
from actinium.levels import LEVEL_KINDS, Activation, Initialization, Normalization, compact_label
from actinium.names import STUDY_NAME, canonical_word
from actinium.paths import (
    FACTOR_ROOTS,
    Cell,
    FactorValue,
    Matcher,
    Pattern,
    assign,
    canonical_in,
    canonical_value,
    level_faults,
    path_faults,
)
from actinium.paths import Scalar as Scalar
from actinium.paths import cell_label as cell_label
from actinium.paths import value_at as value_at
from actinium.questions import Question, question_faults
from actinium.reference_cells import References, references
from actinium.trial import Document, Mlp, Model, Probes, SharedParts, Task, Training, TrialConfig
from actinium.yaml_text import MOST_CHARACTERS, not_json, plain

MAX_TRIALS = 100_000
MAX_COMPARISONS = 1_000_000
"""Cells times values of exclusions: a bound on the time that a study takes to resolve."""


DEEPEST_PATH = 20


class Target(Document):
    """When a trial counts as converged: `metric`, as evaluations take it on the first examples of the validation part
    (`evaluation_loss`), at or below `value` at two of them running.

    With `value` null, it is the reference cell's median at half its budget (SCIENCE D2).
    """

    metric: Literal["validation_loss"] = "validation_loss"
    value: float | None = Field(default=None, gt=0.0)


Name = Annotated[str, Field(min_length=1, max_length=120, pattern=STUDY_NAME.pattern)]


def _distinct(seeds: int | list[int]) -> int | list[int]:
    if isinstance(seeds, list) and len(set(seeds)) != len(seeds):
        raise ValueError("the seeds are not distinct; name each one once")
    return seeds


Seeds = Annotated[
    Annotated[int, Field(ge=1, le=10_000)]
    | Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=10_000)],
    AfterValidator(_distinct),
]
"""A count n, for the seeds 0 to n - 1; or a list."""


class StudySpec(Document):
    """The study document: the YAML file, the request body, and what is stored."""

    name: Name
    description: str = Field(default="", max_length=10_000)
    project: Name = "default"
    tags: dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=500)]] = Field(
        default_factory=dict, max_length=100
    )
    task: Task = Task()
    model: Model = Mlp()
    training: Training = Training()
    activation: Activation = Activation.of("relu")
    normalization: Normalization = Normalization.of("none")
    initialization: Initialization = Initialization.of("he")
    factors: dict[str, list[FactorValue]] = Field(default_factory=dict, max_length=20)
    exclude: list[Pattern] = Field(default_factory=list, max_length=1000)
    include: list[Cell] = Field(default_factory=list, max_length=10_000)
    seeds: Seeds = 10
    probes: Probes = Probes()
    target: Target = Target()
    reference: Cell = Field(default_factory=dict)
    questions: Annotated[list[Question], Field(max_length=100)] | None = None
    """What the study asks. Without questions the cells are compared with the reference, a family for each metric."""
    priority: int = Field(default=0, ge=-100, le=100)
    reuse: bool = False
    """Whether trials that the history has, by their digest, are taken from there in place of being trained again."""

    @field_validator("name")
    @classmethod
    def _not_a_number(cls, value: str) -> str:
        if value.isdigit():
            raise ValueError("a name of digits alone would be read as an id; add a letter")
        return value

    @field_validator("questions")
    @classmethod
    def _asks_something(cls, value: list[Question] | None) -> list[Question] | None:
        if value == []:
            raise ValueError("a family of nothing; ask at least one question, or leave questions out")
        return value

    @field_validator("factors")
    @classmethod
    def _levels(cls, value: dict[str, list[FactorValue]]) -> dict[str, list[FactorValue]]:
        faults = [fault for path, levels in value.items() for fault in _factor_faults(path, levels)]
        if faults:
            raise faults_error(faults)
        return value

    @model_validator(mode="after")
    def _one_axis_a_path(self) -> "StudySpec":
        faults = _nested_paths("factors", self.factors)
        for number, cell in enumerate(self.include):
            faults += _nested_paths(f"include.{number}", cell)
        if faults:
            raise faults_error(faults)
        return self

    def seed_list(self) -> list[int]:
        """The seeds: 0 to count - 1, or those named."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    def grid_size(self) -> int:
        """Trials of the full grid before exclusions, computed without making them."""
        size = 1
        for levels in self.factors.values():
            size *= len(levels)
        return (size + len(self.include)) * len(self.seed_list())


@dataclass(frozen=True, kw_only=True)
class DesignCell:
    """A cell that can be run: its levels and the config of its trials but for the seed."""

    index: int
    cell: Cell
    config: TrialConfig

    def trial(self, seed: int) -> TrialConfig:
        """This cell's trial with `seed`."""
        return self.config.model_copy(update={"seed": seed})


@dataclass(frozen=True, kw_only=True)
class InvalidDesign:
    """A cell that is structurally impossible, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, kw_only=True)
class Design:
    """A study's grid, resolved."""

    spec: StudySpec
    cells: tuple[DesignCell, ...]
    invalid: tuple[InvalidDesign, ...]
    equal: tuple[EqualLevels, ...] = ()

    def seeded(self) -> Iterator[tuple[DesignCell, int]]:
        """Every trial as cell and seed: seeds outermost, so that each seed's cells come together and a partial study is
        balanced.
        """
        for seed in self.spec.seed_list():
            for cell in self.cells:
                yield cell, seed

    def trials(self) -> Iterator[tuple[DesignCell, TrialConfig]]:
        """Every trial with its config, in the order of `seeded`."""
        for cell, seed in self.seeded():
            yield cell, cell.trial(seed)


def _factor_faults(path: str, levels: list[FactorValue]) -> list[FieldError]:
    if not levels:
        return [FieldError(path, "an empty factor; give at least one level")]
    faults: list[FieldError] = []
    seen: set[str] = set()
    for level in levels:
        if len(faults) > MOST_TOLD:
            break
        try:
            word = json.dumps(canonical_value(path, level), sort_keys=True, default=str)
        except InvalidInput as error:
            faults += error.errors
            continue
        if word in seen:
            faults.append(FieldError(path, f"{compact_label(level)[:80]} stands twice; name each level once"))
        seen.add(word)
    return faults


def _nested_paths(where: str, given: Mapping[str, object]) -> list[FieldError]:
    return [
        FieldError(f"{where}.{inner}", f"lies inside {outer}; give one of the two")
        for inner in given
        for outer in itertools.accumulate(inner.split(".", DEEPEST_PATH)[:-1], "{}.{}".format)
        if outer in given
    ]


def expand(spec: StudySpec, *, max_trials: int = MAX_TRIALS, find: Find = nothing_stored) -> Design:
    """The grid of a study: product of the factors, less `exclude`, plus `include`; impossible cells set apart.

    `find` knows the datasets that cells may name beside those of the table and the study's own.
    Raises InvalidInput with a path for each level that cannot be, and for a grid over `max_trials`.
    """
    if spec.grid_size() > max_trials:
        raise InvalidInput(
            "the grid is too large",
            [FieldError("factors", f"{spec.grid_size()} trials; at most {max_trials} are accepted")],
        )
    values = sum(len(value) if isinstance(value, list) else 1 for pattern in spec.exclude for value in pattern.values())
    comparisons = values * spec.grid_size() // len(spec.seed_list())
    if comparisons > MAX_COMPARISONS:
        fault = f"{len(spec.exclude)} patterns on this grid need {comparisons} comparisons; say it with fewer patterns"
        raise InvalidInput("there are too many exclusions", [FieldError("exclude", fault)])
    whole = spec.model_dump(mode="json")
    base: dict[str, Any] = {root: whole[root] for root in FACTOR_ROOTS}
    base["target_loss"] = spec.target.value
    datasets = {spec.task.dataset: spec.task.stored}

    def found(name: str) -> StoredDataset | None:
        if name not in datasets:
            datasets[name] = find(name)
        return datasets[name]

    faults = [fault for path in spec.factors for fault in path_faults("factors", path, base)]
    patterns: list[tuple[str, Mapping[str, Any]]] = [
        (f"exclude.{number}", pattern) for number, pattern in enumerate(spec.exclude)
    ]
    patterns += [(f"include.{number}", cell) for number, cell in enumerate(spec.include)]
    for where, pattern in [*patterns, ("reference", spec.reference)]:
        for path, value in pattern.items():
            if len(faults) <= MOST_TOLD:
                faults += path_faults(where, path, base) or level_faults(where, path, value)
    if faults:
        raise InvalidInput("a path or level of the study is not accepted", faults)

    proposals: list[Cell] = [
        dict(zip(spec.factors, combination, strict=True)) for combination in itertools.product(*spec.factors.values())
    ]
    cells: list[DesignCell] = []
    invalid: list[InvalidDesign] = []
    seen: dict[str, Cell] = {}
    merged: list[tuple[Cell, Cell]] = []
    shared = SharedParts()
    excluded = [Matcher(pattern) for pattern in spec.exclude if pattern]
    for number, proposal in enumerate([*proposals, *spec.include]):
        included = number >= len(proposals)
        where = f"include.{number - len(proposals)}" if included else "factors"
        config = shared.of(_resolve(base, proposal, where, found))
        cell = {path: canonical_in(config, path, value) for path, value in proposal.items()}
        if not included and any(matcher(config) for matcher in excluded):
            continue
        identity = config.digest()
        if identity in seen:
            merged.append((proposal, seen[identity]))
            continue
        seen[identity] = proposal
        reason = config.invalid_design()
        if reason:
            invalid.append(InvalidDesign(cell=cell, reason=reason))
        else:
            cells.append(DesignCell(index=len(cells), cell=cell, config=config))
    if not cells:
        why = f" ({invalid[0].reason})" if invalid else ""
        raise InvalidInput(
            "the study has no cell to run",
            [FieldError("factors", "every cell is excluded or structurally invalid" + why + "; keep at least one")],
        )
    is_reference = Matcher(spec.reference)
    if spec.reference and not any(is_reference(cell.config) for cell in cells):
        raise InvalidInput(
            "the reference is no cell of the study",
            [FieldError("reference", f"{cell_label(spec.reference)} matches no cell; name levels that are run")],
        )
    resolved = [(cell.cell, cell.config) for cell in cells]
    if faults := question_faults(spec.questions or [], resolved, base, spec.probes, compared_cells(spec, cells)):
        raise InvalidInput("a question of the study cannot be answered by its cells", faults)
    equal = equal_levels(merged, resolved)
    return Design(spec=spec, cells=tuple(cells), invalid=tuple(invalid), equal=equal)


def compared_cells(spec: StudySpec, cells: Sequence[DesignCell]) -> References:
    """The pairs of cells that the reference levels define: those given, or the first cell's activation, normalization
    and initialization.
    """
    first = cells[0].config
    pattern = dict(spec.reference) or {kind: getattr(first, kind).compact() for kind in LEVEL_KINDS}
    return references(pattern, [(cell.cell, cell.config) for cell in cells])


def _resolve(base: dict[str, Any], cell: Cell, where: str, find: Find) -> TrialConfig:
    document = json.loads(json.dumps(base))
    base_dataset = document["task"]["dataset"]
    if canonical_word(cell.get("task.dataset", base_dataset), list(DATASETS)) != base_dataset:
        document["task"]["parameters"] = {}  # those of another dataset
    for path, value in cell.items():
        assign(document, path, value)
    settle(document["task"], find)
    try:
        config = TrialConfig.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(
            "a level of the study is not accepted",
            [
                FieldError(_located(fault.path, cell, where), fault.message)
                for fault in explain(error, document, TrialConfig)
            ],
        ) from error
    if thin := config.task.thin_parts():
        faults = [FieldError(_located(f"task.{fault.path}", cell, where), fault.message) for fault in thin]
        raise InvalidInput("a part of the dataset is too small", faults)
    return config


def _located(path: str, cell: Cell, where: str) -> str:
    """A config's path as the study's: below `where` if the cell gave it, else the document's own."""
    given = any(path == p or path.startswith(p + ".") or p.startswith(path + ".") for p in cell)
    return f"{where}.{path}" if given else path


def parse_study(document: Any) -> StudySpec:
    """A StudySpec from plain data; InvalidInput lists every fault with its path, value and mend."""
    if not isinstance(document, Mapping):
        raise InvalidInput("a study is a mapping of fields", [FieldError("", f"got {type(document).__name__}")])
    try:
        return StudySpec.model_validate(document)
    except ValidationError as error:
        raise InvalidInput("the study is not accepted", explain(error, document, StudySpec)) from error


def load_study(text: str) -> dict[str, Any]:
    """The plain data of a YAML (or JSON) study file; InvalidInput says line and column of a syntax fault."""
    document = plain(text)
    if not isinstance(document, dict):
        raise InvalidInput("a study is a mapping of fields", [FieldError("", f"got {type(document).__name__}")])
    if faults := not_json(document):
        raise InvalidInput("the study is not accepted", faults)
    return document


def read_study(path: Path | None) -> dict[str, Any]:
    """The plain data of a study file, or of standard input; InvalidInput where it cannot be read."""
    try:
        with nullcontext(sys.stdin.buffer) if path is None else path.open("rb") as file:
            text = file.read(MOST_CHARACTERS + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        where = "standard input" if path is None else path
        raise InvalidInput(f"{where} cannot be read: {why}; name a YAML or JSON file") from error
    return load_study(text)
