"""What a study is extended by: more seeds, more levels of its factors. What it has already stays as it is."""

import json
from typing import Annotated, Any

from pydantic import Field, ValidationError

from actinium.document import Document
from actinium.errors import FieldError, InvalidInput
from actinium.explain import explain
from actinium.levels import did_you_mean
from actinium.paths import FactorValue, canonical_value
from actinium.study import Seeds, StudySpec, parse_study

REFUSED = "the extension is not accepted"
NO_FACTORS = "the study has no factors; give seeds"


class Extension(Document):
    """The request body: seeds and levels to add; those that the study has already change nothing."""

    seeds: Seeds | None = None
    """A count n stands for the seeds 0 to n - 1, as in a study. The study's seeds become the union of the two."""
    factors: dict[str, Annotated[list[FactorValue], Field(min_length=1)]] = Field(default_factory=dict, max_length=20)
    """By the path of a factor that the study has, its new levels."""


def parse_extension(document: Any) -> Extension:
    """An Extension from plain data; InvalidInput lists every fault, and refuses one that asks for nothing."""
    try:
        extension = Extension.model_validate(document)
    except ValidationError as error:
        raise InvalidInput(REFUSED, explain(error, document, Extension)) from error
    if extension.seeds is None and not extension.factors:
        raise InvalidInput(REFUSED, [FieldError("", "nothing to add; give seeds, factors or both")])
    return extension


def extended(spec: StudySpec, extension: Extension) -> StudySpec:
    """The study with what is new behind what it has, in the order given.

    InvalidInput where a path is no factor of the study: its cells have no level there that the new ones could join.
    """
    known = list(spec.factors)
    faults = [
        FieldError(f"factors.{path}", f"no factor of this study; {did_you_mean(path, known)}" if known else NO_FACTORS)
        for path in extension.factors
        if path not in spec.factors
    ]
    if faults:
        raise InvalidInput(REFUSED, faults)
    whole = spec.model_dump(mode="json")
    given = extension.model_dump(mode="json")["factors"]
    factors = {path: _joined(path, levels, given.get(path, [])) for path, levels in whole["factors"].items()}
    return parse_study({**whole, "factors": factors, "seeds": _union(spec, extension)})


def _union(spec: StudySpec, extension: Extension) -> int | list[int]:
    """The seeds of both, each once; a count where they are 0 to n - 1 in order."""
    added = extension.seeds
    more = [] if added is None else list(range(added)) if isinstance(added, int) else added
    seeds = list(dict.fromkeys([*spec.seed_list(), *more]))
    return len(seeds) if seeds == list(range(len(seeds))) else seeds


def _joined(path: str, levels: list[Any], more: list[Any]) -> list[Any]:
    """The levels, and of the new ones those that are not among them under any spelling."""
    joined, seen = list(levels), {_word(path, level) for level in levels}
    for level in more:
        if (word := _word(path, level)) not in seen:
            joined.append(level)
            seen.add(word)
    return joined


def _word(path: str, level: Any) -> str:
    try:
        return json.dumps(canonical_value(path, level), sort_keys=True, default=str)
    except InvalidInput as error:
        faults = [FieldError(f"factors.{fault.path}", fault.message) for fault in error.errors]
        raise InvalidInput(REFUSED, faults) from error
