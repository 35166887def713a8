"""YAML from outside: plain data only, no key twice, and no small text that means something vast."""

import math
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from actinium.errors import FieldError, InvalidInput

MOST_CHARACTERS = 1_000_000
MOST_NODES = 200_000
"""Values, every alias counted as what it stands for: a text of ten lines can mean a billion."""

MOST_COUNTED = 10**9


class _Loader(yaml.SafeLoader):
    """Plain data only; a date is its text. No key twice: the second would silently replace the first."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_document(self, node: yaml.Node) -> Any:
        if (size := _size(node, {})) > MOST_NODES:
            fault = f"its aliases mean {size} values or more; at most {MOST_NODES} are accepted"
            raise ConstructorError(None, None, fault, node.start_mark)
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        words = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in words:
            if key.value in seen:
                raise ConstructorError(None, None, f"the key {key.value[:80]!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def plain(text: str) -> Any:
    """The data that a YAML (or JSON) text means; InvalidInput says line and column of a fault."""
    if len(text) > MOST_CHARACTERS:
        fault = f"{len(text)} characters; at most {MOST_CHARACTERS} are accepted"
        raise InvalidInput("the text is too long", [FieldError("", fault)])
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidInput("the text is not YAML", [FieldError("", " ".join(str(error).split())[:500])]) from error
    except RecursionError as error:
        raise InvalidInput(
            "the text is nested too deep", [FieldError("", "nested too deep; a study needs six levels")]
        ) from error


def not_json(document: Any) -> list[FieldError]:
    """What YAML knows and JSON, in which a document is sent, does not, each at its path: .nan, !!binary, !!set."""
    faults: list[FieldError] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while waiting:
        path, node = waiting.pop()
        if isinstance(node, dict):
            waiting += [((*path, str(key)), value) for key, value in reversed(node.items())]
        elif isinstance(node, list):
            waiting += [((*path, str(number)), value) for number, value in reversed(list(enumerate(node)))]
        elif not isinstance(node, str | int | float | None) or (isinstance(node, float) and not math.isfinite(node)):
            fault = f"{repr(node)[:80]} is not accepted: give a text, a finite number, true, false or null"
            faults.append(FieldError(".".join(path)[:300], fault))
    return faults


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values that a node means, each alias counted whole; the work is that of the text. ConstructorError where a node
    holds itself.
    """
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # while what is in it is counted
        children = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = min(MOST_COUNTED, 1 + sum(_size(child, known) for child in children))
    elif known[id(node)] == 0:
        raise ConstructorError(None, None, "holds itself by an alias", node.start_mark)
    return known[id(node)]
