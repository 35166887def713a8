"""The paths of a study's document: what stands there, whether it may vary, and whether a config matches."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, Field, ValidationError

from actinium.datasets.table import DATASETS
from actinium.errors import MOST_TOLD, FieldError, InvalidInput
from actinium.explain import explain
from actinium.levels import LEVEL_KINDS, Level, compact_label, did_you_mean
from actinium.models import MODELS
from actinium.names import matching
from actinium.trial import OPTIMIZERS, TrialConfig

FACTOR_ROOTS = ("task", "model", "training", "activation", "normalization", "initialization", "probes")
TASK_PARAMETERS = "task.parameters."
NAMED = ("dataset", "kind", "optimizer")
"""Fields that hold a name of the house, which people write in their own ways."""
KNOWN = frozenset((*DATASETS, *MODELS, *OPTIMIZERS))
KIND_MEND = "a kind has its own fields; vary `model` as a whole: [{kind: mlp, depth: 3}, {kind: cnn}]"

Scalar: TypeAlias = str | int | float | bool | None
FactorValue: TypeAlias = Scalar | dict[str, Any]
Cell: TypeAlias = dict[str, FactorValue]
Pattern: TypeAlias = Annotated[dict[str, FactorValue | list[FactorValue]], Field(min_length=1)]


def value_at(config: TrialConfig, path: str) -> Any:
    """What a resolved config holds at a factor path; levels as `Level` values, scalars as they are."""
    node: Any = config
    for part in path.split("."):
        if isinstance(node, Level) and part != "name":
            node = node.parameters.get(part)
        else:
            node = node.get(part) if isinstance(node, Mapping) else getattr(node, part, None)
    return node


class Matcher:
    """Tells whether configs have every value of a pattern. A bare level name matches that level whatever its
    parameters; a list matches any of its entries. The levels of the pattern are parsed once, however many configs
    follow.
    """

    def __init__(self, pattern: Mapping[str, Any]) -> None:
        self._wanted = [
            (path, [_readied(path, option) for option in (wanted if isinstance(wanted, list) else [wanted])])
            for path, wanted in pattern.items()
        ]

    def __call__(self, config: TrialConfig) -> bool:
        """Whether this config has every value."""
        return all(
            any(_same(path, found, option) for option in options)
            for path, options in self._wanted
            for found in [value_at(config, path)]
        )


def matches(config: TrialConfig, pattern: Mapping[str, Any]) -> bool:
    """Whether one config has every value of the pattern; for many configs make a `Matcher`."""
    return Matcher(pattern)(config)


def _readied(path: str, wanted: Any) -> Any:
    """A value of a pattern as it is compared: a level with its parameters, or the canonical name of a bare one."""
    if path not in LEVEL_KINDS:
        return wanted
    level = LEVEL_KINDS[path].of(wanted)
    return level.name if isinstance(wanted, str) else level


def _same(path: str, found: Any, wanted: Any) -> bool:
    if path in LEVEL_KINDS:
        return bool((found.name if isinstance(wanted, str) else found) == wanted)
    if isinstance(found, BaseModel):
        return isinstance(wanted, Mapping) and all(_same(key, getattr(found, key, None), wanted[key]) for key in wanted)
    if isinstance(found, int | float) and isinstance(wanted, str):
        wanted = _number(wanted)
    if isinstance(found, str) and isinstance(wanted, str) and path.rpartition(".")[2] in NAMED:
        return found == wanted or (found in KNOWN and matching(wanted, [found]) is not None)
    return bool(found == wanted and isinstance(found, bool) == isinstance(wanted, bool))


def _number(word: str) -> float | str:
    """YAML 1.1 reads 1e-3 as a word; it means the number."""
    try:
        return float(word)
    except ValueError:
        return word


def canonical_value(path: str, value: Any) -> FactorValue:
    """A factor's value in its shortest canonical form: levels compact, scalars as they are.

    Raises InvalidInput whose faults stand at `path`.
    """
    if path not in LEVEL_KINDS:
        return value  # type: ignore[no-any-return]
    try:
        return LEVEL_KINDS[path].of(value).compact()
    except ValidationError as error:
        faults = [
            FieldError(f"{path}.{fault.path}" if fault.path else path, fault.message)
            for fault in explain(error, value, LEVEL_KINDS[path])
        ]
        raise InvalidInput("a level of the study is not accepted", faults) from error


def canonical_in(config: TrialConfig, path: str, value: FactorValue) -> FactorValue:
    """The value as the resolved config holds it, so that "2", 2 and 2.0 are one batch size."""
    found = value_at(config, path)
    if isinstance(found, Level):
        return found.compact()
    if isinstance(found, BaseModel):
        kind = getattr(found, "kind", None)
        return {**value, "kind": kind} if kind and isinstance(value, dict) else value
    return found  # type: ignore[no-any-return]


def cell_label(cell: Mapping[str, FactorValue]) -> str:
    """A cell as one line for people: `relu·none·training.batch_size=2`."""
    words = []
    for path, value in cell.items():
        word = compact_label(value)
        words.append(word if path in LEVEL_KINDS else f"{path.rsplit('.', 1)[-1]}={word}")
    return "·".join(words) or "base"


def cell_key(value: Cell | FactorValue) -> str:
    """One text for one cell or level, whatever the order of its factors or parameters."""
    return json.dumps(value, sort_keys=True)


def assign(document: dict[str, Any], path: str, value: Any) -> None:
    """Puts a value at a path whose parent is there."""
    *parents, last = path.split(".")
    node: Any = document
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise ValueError(f"{path} is not a path of the document")
    node[last] = value


def path_faults(where: str, path: str, base: dict[str, Any]) -> list[FieldError]:
    """What is wrong with varying `path` in the document `base`."""
    known = sorted(path for path in paths(base) if path.partition(".")[0] in FACTOR_ROOTS and not _filled_in(path))
    if path in known or _parameter_path(path):
        return [FieldError(f"{where}.{path}", KIND_MEND)] if path == "model.kind" else []
    return [FieldError(f"{where}.{path[:200]}", f"no such path; {did_you_mean(path[:200], known)}")]


def level_faults(where: str, path: str, value: Any) -> list[FieldError]:
    """What is wrong with a value, or with each of a list of them, as levels at `path`."""
    faults: list[FieldError] = []
    for option in value if isinstance(value, list) else [value]:
        if len(faults) > MOST_TOLD:
            break
        try:
            canonical_value(path, option)
        except InvalidInput as error:
            faults += [FieldError(f"{where}.{fault.path}", fault.message) for fault in error.errors]
    return faults


def _filled_in(path: str) -> bool:
    """Whether the service alone writes there."""
    return path == "task.stored" or path.startswith("task.stored.")


def _parameter_path(path: str) -> bool:
    root, _, parameter = path.partition(".")
    if path.startswith(TASK_PARAMETERS):
        return any(path.removeprefix(TASK_PARAMETERS) in d.parameters for d in DATASETS.values())
    return root in LEVEL_KINDS and any(parameter in d.parameters for d in LEVEL_KINDS[root].definitions.values())


def paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted paths of a document's parts and leaves; a level is a leaf."""
    for key, value in document.items():
        path = f"{prefix}{key}"
        yield path
        if isinstance(value, Mapping) and path not in LEVEL_KINDS:
            yield from paths(value, path + ".")
