"""`--set path=value`: changes to a study's document before it is sent; `--set factors.PATH+=LEVEL`: more levels."""

from collections.abc import Mapping, Sequence
from typing import Any

from actinium.errors import FieldError, InvalidInput
from actinium.levels import LEVEL_KINDS
from actinium.yaml_text import plain

KEYED_BY_PATH = ("factors", "reference", "tags")
"""Fields whose keys are whole paths or words: `factors.training.batch_size` is the key `training.batch_size`."""


def with_overrides(document: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The document with every `path=value` applied; values are read as YAML. InvalidInput names a bad one."""
    changed = dict(document)
    for override in overrides:
        path, separator, word = override.partition("=")
        if not separator or not path.strip("."):
            raise InvalidInput(f"--set {override}: give path=value, as in --set training.epochs=5")
        changed = _set(changed, _keys(path), _yaml(path, word), path)
    return changed


def added_levels(words: Sequence[str]) -> dict[str, list[Any]]:
    """By factor, the levels of every `factors.PATH+=LEVEL` or `factors.PATH+=[LEVEL, ...]`; values are read as YAML."""
    factors: dict[str, list[Any]] = {}
    for given in words:
        path, separator, word = given.partition("+=")
        root, _, factor = path.partition(".")
        if not separator or root != "factors" or not factor:
            raise InvalidInput(f"--set {given}: give factors.PATH+=LEVEL, as in --set factors.activation+=elu")
        value = _yaml(path, word)
        factors.setdefault(factor, []).extend(value if isinstance(value, list) else [value])
    return factors


def _yaml(path: str, word: str) -> Any:
    try:
        return plain(word)
    except InvalidInput as error:
        raise InvalidInput(f"--set {path}: {word[:80]!r} is not accepted; quote it", error.errors) from error


def _keys(path: str) -> list[str]:
    root, _, rest = path.partition(".")
    return [root, rest] if root in KEYED_BY_PATH and rest else path.split(".")


def _set(node: Mapping[str, Any], keys: list[str], value: Any, path: str) -> dict[str, Any]:
    first, *rest = keys
    if not rest:
        return {**node, first: value}
    child = node.get(first, {})
    if isinstance(child, str) and path.split(".")[0] in LEVEL_KINDS:  # a bare name
        child = {"name": child}
    if not isinstance(child, Mapping):
        raise InvalidInput(
            "the study cannot be changed so", [FieldError(path, f"{first} holds no fields; set it whole")]
        )
    return {**node, first: _set(child, rest, value, path)}
