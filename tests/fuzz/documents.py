"""Study documents that nobody would write: valid ones, changed at random places by values that hurt."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from actinium.datasets.table import DATASETS
from actinium.levels import LEVEL_KINDS
from actinium.paths import paths
from actinium.study import StudySpec, read_study

STUDIES = Path(__file__).parents[2] / "studies"
MODELS = ("mlp", "cnn", "vgg11", "resnet20", "resnet50", "rnn", "lstm", "autoencoder", "denoiser")
WHOLE = StudySpec(name="x").model_dump(mode="json")
WORDS = (
    "",
    " ",
    "relu",
    "none",
    "he",
    "digits",
    "NaN",
    "1e400",
    "-0",
    "true",
    "null",
    "../..",
    "a.b",
    "a\nb",
    "x" * 300,
)
UNSTORABLE = ("\0", "a\0b", "\ud800", "\udfff.x", "{\udc80}")
NUMBERS = (0, 1, -1, 2, 1.5, 1e-300, 5e-324, 1e308, -1e308, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, -(10**400))
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
BRANCHES = (
    [],
    {},
    [[]],
    {"": ""},
    {"name": {}},
    {"kind": []},
    [None],
    {"name": "relu", "expr": "z"},
    {"a.b": 1},
    [0] * 300,
)


def shipped() -> list[dict[str, Any]]:
    """The studies of `studies/`, made small, and one of no more than a name."""
    found = [read_study(path) | {"name": "fuzz"} for path in sorted(STUDIES.glob("*.yaml"))]
    return [{"name": "fuzz"}, *found]


SHIPPED = shipped()


def nested(depth: int) -> dict[str, Any]:
    """A document so deep."""
    node: dict[str, Any] = {}
    for _ in range(depth):
        node = {"a": node}
    return node


def nasty(*, json_only: bool = False) -> st.SearchStrategy[Any]:
    """A value for any place. With `json_only`, one that JSON text can carry."""
    values: list[Any] = [None, True, False, *WORDS, *UNSTORABLE, *NUMBERS, *BRANCHES, nested(8)]
    if not json_only:
        values += [*NOT_FINITE, b"bytes", frozenset({1}), ("relu",), object(), complex(1, 1), nested(60)]
    return st.one_of(
        st.sampled_from(values).map(copy.deepcopy),
        st.integers(),
        st.floats(allow_nan=not json_only, allow_infinity=not json_only),
        st.text(),
    )


def levels(kind: str) -> st.SearchStrategy[Any]:
    """A level of the catalogue, some of its parameters given, in its range or not."""

    def of(name: str) -> st.SearchStrategy[Any]:
        known = LEVEL_KINDS[kind].definitions[name].parameters
        value = st.one_of(st.floats(-2, 2), st.integers(-2, 9), st.booleans(), st.sampled_from(WORDS))
        given = st.dictionaries(st.sampled_from(sorted(known)), value, max_size=2) if known else st.just({})
        return st.one_of(st.just(name), given.map(lambda parameters: {"name": name, **parameters}))

    return st.sampled_from(sorted(LEVEL_KINDS[kind].definitions)).flatmap(of)


def factor_values(path: str) -> st.SearchStrategy[Any]:
    """Something that may be a level at this path."""
    if path in LEVEL_KINDS:
        return levels(path)
    if path == "task.dataset":
        return st.sampled_from(sorted(DATASETS))
    if path == "model":
        return st.sampled_from(MODELS).map(lambda kind: {"kind": kind})
    return st.one_of(st.floats(0, 1), st.integers(0, 300), st.booleans(), st.none(), st.sampled_from(WORDS))


PATHS = sorted(path for path in paths(WHOLE) if path not in ("name", "description"))


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    """A study over factors of the catalogue: mostly valid, or nearly so."""
    chosen = draw(
        st.lists(st.one_of(st.sampled_from(sorted(LEVEL_KINDS)), st.sampled_from(PATHS)), max_size=3, unique=True)
    )
    document: dict[str, Any] = {
        "name": draw(st.from_regex(r"[a-z][a-z0-9._ -]{0,8}", fullmatch=True)),
        "seeds": draw(st.one_of(st.integers(1, 3), st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True))),
        "factors": {path: draw(st.lists(factor_values(path), min_size=1, max_size=3)) for path in chosen},
    }
    if chosen and draw(st.booleans()):
        path = draw(st.sampled_from(chosen))
        pattern = {path: draw(st.one_of(st.sampled_from(document["factors"][path]), factor_values(path)))}
        document |= {draw(st.sampled_from(["reference", "exclude", "include"])): pattern}
        for several in ("exclude", "include"):
            if several in document:
                document[several] = [document[several]]
    return document


@st.composite
def changed(draw: st.DrawFn, *, json_only: bool = False) -> Any:
    """A study that ships, or a grid, with up to three changes."""
    document: Any = copy.deepcopy(draw(st.one_of(st.sampled_from(SHIPPED), grids(), grids())))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        document = _change(draw, document, json_only)
    return document


def _change(draw: st.DrawFn, document: Any, json_only: bool) -> Any:
    places = list(_places(document))
    if not places:
        return draw(nasty(json_only=json_only))
    holder, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(["replace", "replace", "remove", "add", "rename", "whole"])):
        case "replace":
            holder[key] = draw(nasty(json_only=json_only))
        case "remove":
            del holder[key]
        case "add" if isinstance(holder, list):
            holder.insert(0, draw(nasty(json_only=json_only)))
        case "rename" if isinstance(holder, dict):
            holder[draw(st.one_of(st.sampled_from([*WORDS, *UNSTORABLE, *PATHS]), st.text()))] = holder.pop(key)
        case "whole":
            path = draw(st.sampled_from(PATHS))
            document.setdefault("factors", {}) if isinstance(document, dict) else None
            if isinstance(document, dict) and isinstance(document["factors"], dict):
                document["factors"][path] = [draw(nasty(json_only=json_only)), draw(factor_values(path))]
        case _:
            holder[key] = [holder[key], holder[key]]
    return document


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) of a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        yield node, key
        yield from _places(value)
