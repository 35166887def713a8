"""Pydantic's errors as the house tells them: path, value and mend, one fault a place."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from actinium.document import OneOf
from actinium.errors import FieldError
from actinium.levels import did_you_mean
from actinium.names import pattern_refusal

PATH_LIMIT = 300
SHOWN_LIMIT = 120
MOST_LOOKED_AT = 1000
MOST_JOINED = 5
OWN_WORDS = ("level", "faults", "value_error")


def faults_error(faults: Sequence[FieldError]) -> PydanticCustomError:
    """For validators: faults at paths below the one that is being validated."""
    listed = [[fault.path, fault.message] for fault in faults]
    return PydanticCustomError("faults", "{message}", {"message": faults[0].message, "faults": listed})


def explain(error: ValidationError, document: object, model: type[BaseModel]) -> list[FieldError]:
    """What is wrong in `document`, by `model`: every place once, with what would have been accepted."""
    found: dict[str, list[str]] = {}
    deepest: dict[tuple[int | str, ...], int] = {}
    items = error.errors(include_url=False)[:MOST_LOOKED_AT]
    located = [(item, _path(item["loc"], document)) for item in items]
    for item, path in located:
        for cut in range(len(path) + 1):
            if _is_branch(item["loc"], path, cut):
                deepest[path[:cut]] = max(deepest.get(path[:cut], 0), len(path))
    for item, path in located:
        shallow = any(
            _is_branch(item["loc"], path, cut) and len(path) < deepest[path[:cut]] for cut in range(len(path) + 1)
        )
        if shallow:
            continue
        for where, message in _told(item, path, model):
            messages = found.setdefault(where[:PATH_LIMIT], [])
            if message not in messages:
                messages.append(message)
    return [FieldError(where, _joined(messages)) for where, messages in found.items()]


def _path(location: tuple[int | str, ...], document: object) -> tuple[int | str, ...]:
    """The location without the labels of union branches, found by walking the document."""
    node: Any = document
    kept: list[int | str] = []
    for position, part in enumerate(location):
        last = position == len(location) - 1
        if _holds(node, part):
            node = node[part]
            kept.append(part)
        elif isinstance(node, Mapping) and last and part != "[key]":
            kept.append(part)
    return tuple(kept)


def _holds(node: object, part: int | str) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return isinstance(node, list | tuple) and isinstance(part, int) and part < len(node)


def _is_branch(location: tuple[int | str, ...], path: tuple[int | str, ...], cut: int) -> bool:
    """Whether a union chose a branch right after `path[:cut]` on the way of `location`."""
    return location[:cut] == path[:cut] and len(location) > cut and (len(path) == cut or location[cut] != path[cut])


def _told(item: ErrorDetails, path: tuple[int | str, ...], model: type[BaseModel]) -> list[FieldError]:
    where = ".".join(str(part) for part in path)
    context = item.get("ctx", {})
    match item["type"]:
        case "faults":
            return [FieldError(_below(where, inner), message) for inner, message in context["faults"]]
        case "level":
            return [FieldError(_below(where, context.get("path", "")), item["msg"])]
        case "extra_forbidden":
            known = _fields_at(model, path[:-1])
            return [FieldError(where, f"unknown field; {did_you_mean(str(path[-1])[:80], known)}")]
        case "missing":
            return [FieldError(where, "missing; give this field")]
        case "union_tag_invalid":
            accepted = context["expected_tags"].replace("'", "")
            return [
                FieldError(
                    _below(where, "kind"), f"{str(context['tag'])[:80]!r} is not accepted; give one of {accepted}"
                )
            ]
        case "union_tag_not_found":
            return [FieldError(_below(where, "kind"), "missing; give this field")]
    message = item["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if item["type"] == "string_pattern_mismatch":
        message = pattern_refusal(context.get("pattern"), item.get("input")) or message
    shown = repr(item.get("input"))
    if item["type"] not in OWN_WORDS:
        shown = shown if len(shown) <= SHOWN_LIMIT else shown[:SHOWN_LIMIT] + "..."
        message = f"{shown} is not accepted: {message}"
    return [FieldError(where, message)]


def _joined(messages: list[str]) -> str:
    """The messages of a union's branches at one place as one sentence."""
    first, *others = messages
    more = f"; and {len(messages) - MOST_JOINED} faults more" if len(messages) > MOST_JOINED else ""
    joined = [f", or {other.rpartition('is not accepted: ')[2]}" for other in others[: MOST_JOINED - 1]]
    return first + "".join(joined) + more


def _below(path: str, inner: str) -> str:
    return f"{path}.{inner}" if path and inner else path or inner


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The fields that the model knows at a path; those of every kind where there are several."""
    models = [model]
    for part in path:
        models = [
            nested for m in models if part in m.model_fields for nested in _documents_in(m.model_fields[str(part)])
        ]
    return sorted({field for m in models for field in m.model_fields}) if path else list(model.model_fields)


def _documents_in(field: FieldInfo) -> list[type[BaseModel]]:
    for mark in field.metadata:
        if isinstance(mark, OneOf):
            return list(mark.table.values())
    return _models_in(field.annotation)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
