"""A study: a document that spans a grid of cells, each run with every seed."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from actinium.errors import FieldError, InvalidInput
from actinium.levels import (
    LEVEL_KINDS,
    Activation,
    Initialization,
    Level,
    Normalization,
    compact_label,
    did_you_mean,
)
from actinium.trial import Document, Mlp, Model, Probes, Task, Training, TrialConfig

FACTOR_ROOTS = ("task", "model", "training", "activation", "normalization", "initialization", "probes")
MAX_TRIALS = 100_000

Scalar: TypeAlias = str | int | float | bool | None
FactorValue: TypeAlias = Scalar | dict[str, Any]
Cell: TypeAlias = dict[str, FactorValue]


class Target(Document):
    """When a trial counts as converged: `metric` at or below `value` at two evaluations running.

    With `value` null, it is the reference cell's median at half its budget (SCIENCE D2).
    """

    metric: Literal["validation_loss"] = "validation_loss"
    value: float | None = Field(default=None, gt=0.0)


Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]


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
    exclude: list[dict[str, FactorValue | list[FactorValue]]] = Field(default_factory=list, max_length=1000)
    include: list[Cell] = Field(default_factory=list, max_length=10_000)
    seeds: (
        Annotated[int, Field(ge=1, le=10_000)]
        | Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1, max_length=10_000)]
    ) = 10
    probes: Probes = Probes()
    target: Target = Target()
    reference: Cell = Field(default_factory=dict)
    priority: int = Field(default=0, ge=-100, le=100)

    @field_validator("name")
    @classmethod
    def _not_a_number(cls, value: str) -> str:
        if value.isdigit():
            raise ValueError("a name of digits alone would be read as an id; add a letter")
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: int | list[int]) -> int | list[int]:
        if isinstance(value, list) and len(set(value)) != len(value):
            raise ValueError("the seeds are not distinct; name each one once")
        return value

    @field_validator("factors")
    @classmethod
    def _levels(cls, value: dict[str, list[FactorValue]]) -> dict[str, list[FactorValue]]:
        for path, levels in value.items():
            if not levels:
                raise ValueError(f"{path}: an empty factor; give at least one level")
            seen: list[str] = []
            for level in levels:
                word = json.dumps(canonical_value(path, level), sort_keys=True)
                if word in seen:
                    raise ValueError(f"{path}: {compact_label(level)} stands twice; name each level once")
                seen.append(word)
        return value

    @model_validator(mode="after")
    def _one_axis_a_path(self) -> "StudySpec":
        paths = list(self.factors)
        for outer, inner in itertools.permutations(paths, 2):
            if inner.startswith(outer + "."):
                raise ValueError(f"factors: {inner} lies inside {outer}; vary one of the two")
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

    def trials(self) -> Iterator[tuple[DesignCell, TrialConfig]]:
        """Every trial: seeds outermost, so that each seed's cells come together and a partial study is balanced."""
        for seed in self.spec.seed_list():
            for cell in self.cells:
                yield cell, cell.trial(seed)


def canonical_value(path: str, value: Any) -> FactorValue:
    """A factor's value in its shortest canonical form: levels compact, scalars as they are."""
    if path in LEVEL_KINDS:
        try:
            return LEVEL_KINDS[path].of(value).compact()
        except ValidationError as error:
            raise ValueError(f"{path}: {_message(error.errors()[0])}") from error
    return value  # type: ignore[no-any-return]


def cell_label(cell: Mapping[str, FactorValue]) -> str:
    """A cell as one line for people: `relu·none·training.batch_size=2`."""
    words = []
    for path, value in cell.items():
        word = compact_label(value)
        words.append(word if path in LEVEL_KINDS else f"{path.rsplit('.', 1)[-1]}={word}")
    return "·".join(words) or "base"


def _assign(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node: Any = document
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ValueError(f"{path} is not a path of the document")
    node[last] = value


def value_at(config: TrialConfig, path: str) -> Any:
    """What a resolved config holds at a factor path; levels as `Level` values, scalars as they are."""
    node: Any = config
    for part in path.split("."):
        node = node.parameters.get(part) if isinstance(node, Level) and part != "name" else getattr(node, part, None)
    return node


def matches(config: TrialConfig, pattern: Mapping[str, Any]) -> bool:
    """Whether a config has every value of the pattern. A bare level name matches that level whatever its
    parameters; a list matches any of its entries.
    """
    for path, wanted in pattern.items():
        found = value_at(config, path)
        options = wanted if isinstance(wanted, list) else [wanted]
        if not any(_same(path, found, option) for option in options):
            return False
    return True


def _same(path: str, found: Any, wanted: Any) -> bool:
    if path in LEVEL_KINDS:
        kind = LEVEL_KINDS[path]
        level = kind.of(wanted)
        return bool(found.name == level.name) if isinstance(wanted, str) else bool(found == level)
    return bool(found == wanted and isinstance(found, bool) == isinstance(wanted, bool))


def expand(spec: StudySpec, *, max_trials: int = MAX_TRIALS) -> Design:
    """The grid of a study: product of the factors, less `exclude`, plus `include`; impossible cells set apart.

    Raises InvalidInput with a path for each level that cannot be, and for a grid over `max_trials`.
    """
    if spec.grid_size() > max_trials:
        raise InvalidInput(
            "the grid is too large",
            [FieldError("factors", f"{spec.grid_size()} trials; at most {max_trials} are accepted")],
        )
    base: dict[str, Any] = {root: spec.model_dump(mode="json")[root] for root in FACTOR_ROOTS}
    base["target_loss"] = spec.target.value
    for where, patterns in (("exclude", spec.exclude), ("include", spec.include), ("reference", [spec.reference])):
        for number, pattern in enumerate(patterns):
            for path, value in pattern.items():
                _check_path(f"{where}.{number}" if where != "reference" else where, path, value, base)
    for path in spec.factors:
        _check_path("factors", path, None, base)

    proposals: list[Cell] = [
        dict(zip(spec.factors, combination, strict=True)) for combination in itertools.product(*spec.factors.values())
    ]
    cells: list[DesignCell] = []
    invalid: list[InvalidDesign] = []
    seen: set[str] = set()
    for number, proposal in enumerate([*proposals, *spec.include]):
        included = number >= len(proposals)
        where = f"include.{number - len(proposals)}" if included else "factors"
        cell = {path: canonical_value(path, value) for path, value in proposal.items()}
        config = _resolve(base, cell, where)
        if not included and any(matches(config, pattern) for pattern in spec.exclude if pattern):
            continue
        identity = config.digest()
        if identity in seen:
            continue
        seen.add(identity)
        reason = config.invalid_design()
        if reason:
            invalid.append(InvalidDesign(cell=cell, reason=reason))
        else:
            cells.append(DesignCell(index=len(cells), cell=cell, config=config))
    if not cells:
        raise InvalidInput(
            "the study has no cell to run",
            [FieldError("factors", "every cell is excluded or structurally invalid; keep at least one")],
        )
    if spec.reference and not any(matches(cell.config, spec.reference) for cell in cells):
        raise InvalidInput(
            "the reference is no cell of the study",
            [FieldError("reference", f"{cell_label(spec.reference)} matches no cell; name levels that are run")],
        )
    return Design(spec=spec, cells=tuple(cells), invalid=tuple(invalid))


def reference_pattern(spec: StudySpec, cells: tuple[DesignCell, ...]) -> Cell:
    """The reference levels: those given, or the first cell's activation, normalization and initialization."""
    if spec.reference:
        return dict(spec.reference)
    first = cells[0].config
    return {kind: getattr(first, kind).compact() for kind in LEVEL_KINDS}


def _resolve(base: dict[str, Any], cell: Cell, where: str) -> TrialConfig:
    document = json.loads(json.dumps(base))
    for path, value in cell.items():
        _assign(document, path, value)
    try:
        return TrialConfig.model_validate(document)
    except ValidationError as error:
        faults = explain(error, TrialConfig)
        raise InvalidInput(
            "a level of the study is not accepted",
            [FieldError(f"{where}.{fault.path}" if fault.path else where, fault.message) for fault in faults],
        ) from error


def _check_path(where: str, path: str, value: Any, base: dict[str, Any]) -> None:
    known = sorted(paths(base))
    if path.split(".")[0] not in FACTOR_ROOTS or not (path in known or path in FACTOR_ROOTS or _parameter_path(path)):
        raise InvalidInput(
            "a path of the study does not exist",
            [FieldError(f"{where}.{path[:200]}", f"no such path; {did_you_mean(path[:200], known)}")],
        )
    if path in LEVEL_KINDS and value is not None:
        for option in value if isinstance(value, list) else [value]:
            try:
                canonical_value(path, option)
            except ValueError as error:
                raise InvalidInput(
                    "a level of the study is not accepted", [FieldError(f"{where}.{path}", str(error))]
                ) from error


def _parameter_path(path: str) -> bool:
    root, _, parameter = path.partition(".")
    return root in LEVEL_KINDS and any(parameter in d.parameters for d in LEVEL_KINDS[root].definitions.values())


def paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted paths of a document's leaves, and of its levels as wholes."""
    for key, value in document.items():
        path = f"{prefix}{key}"
        if path in LEVEL_KINDS or not isinstance(value, Mapping):
            yield path
        if isinstance(value, Mapping) and path not in LEVEL_KINDS:
            yield from paths(value, path + ".")


def parse_study(document: Any) -> StudySpec:
    """A StudySpec from plain data; InvalidInput lists every fault with its path, value and mend."""
    if not isinstance(document, Mapping):
        raise InvalidInput("a study is a mapping of fields", [FieldError("", f"got {type(document).__name__}")])
    try:
        return StudySpec.model_validate(document)
    except ValidationError as error:
        raise InvalidInput("the study is not accepted", explain(error, StudySpec)) from error


def load_study(text: str) -> dict[str, Any]:
    """The plain data of a YAML (or JSON) study file; InvalidInput says line and column of a syntax fault."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput("the file is not YAML", [FieldError("", " ".join(str(error).split()))]) from error
    if not isinstance(document, dict):
        raise InvalidInput("a study is a mapping of fields", [FieldError("", f"got {type(document).__name__}")])
    return document


def explain(error: ValidationError, model: type[BaseModel]) -> list[FieldError]:
    """Pydantic's errors as path, value and mend."""
    faults: list[FieldError] = []
    for item in error.errors():
        path = _clean_path(item["loc"])
        if item["type"] == "extra_forbidden":
            known = _fields_at(model, path.split(".")[:-1])
            message = f"unknown field; {did_you_mean(str(path.split('.')[-1])[:80], known)}"
        else:
            message = _message(item)
        fault = FieldError(path[:300], message)
        if fault not in faults:
            faults.append(fault)
    return faults


def _message(item: Any) -> str:
    message: str = item["msg"].removeprefix("Value error, ")
    shown = repr(item.get("input"))
    if item["type"] in ("level", "value_error", "missing") or len(shown) > 120:
        return message
    return f"{message}; got {shown}"


def _clean_path(loc: tuple[int | str, ...]) -> str:
    """Pydantic's location without the names of union branches."""
    branches = {"mlp", "cnn", "int", "str", "float", "bool", "constrained-int"}
    kept = [str(part) for part in loc if str(part) not in branches and "[" not in str(part)]
    return ".".join(kept)


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    fields = model.model_fields
    for part in path:
        if part == "model":
            kinds = {name for kind in Model.__origin__.__args__ for name in kind.model_fields}
            return sorted(kinds)
        annotation: Any = fields[part].annotation if part in fields else None
        options = getattr(annotation, "__args__", (annotation,))
        nested = [a for a in options if isinstance(a, type) and issubclass(a, BaseModel)]
        if not nested:
            return []
        fields = nested[0].model_fields
    return list(fields)
