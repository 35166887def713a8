"""Texts that are meant to hurt whoever reads them: YAML, `--set`, expressions. Refused in a sentence, and soon."""

from pathlib import Path
from typing import Any

import pytest

from actinium.errors import InvalidInput
from actinium.levels.expression import ExpressionError, parse
from actinium.study import expand, load_study, parse_study, read_study
from actinium.terminal.overrides import with_overrides
from actinium.yaml_text import MOST_CHARACTERS, plain

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
MERGES = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "its aliases mean"),
        (MERGES, "its aliases mean"),
        ("a: &a [*a]", "holds itself"),
        ("a: &a {b: *a}", "holds itself"),
        ("a: &a\n  <<: *a", "holds itself"),
        ("[" * 100_000, "nested too deep"),
        ("{a: " * 100_000, "nested too deep"),
        ("- " * 100_000, "nested too deep"),
        ("a: " + "x" * MOST_CHARACTERS, "characters; at most"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: !!python/object/new:subprocess.Popen [[true]]", "could not determine a constructor"),
        ("!!python/module:os", "could not determine a constructor"),
        ("a: !include /etc/passwd", "could not determine a constructor"),
        ("a\0: 1", "special characters are not allowed"),
        ("a: 'x\0'", "special characters are not allowed"),
        ("a: " + "9" * 5000, "digits"),
        (f"{'k' * 2000}: 1\n{'k' * 2000}: 2", ""),
    ],
)
def test_a_text_that_hurts(text: str, words: str) -> None:
    """From a file and after `--set`, with few words."""
    with pytest.raises(InvalidInput) as caught:
        load_study(text)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 2000
    with pytest.raises(InvalidInput) as caught:
        with_overrides({}, [f"a={text}"])
    assert words in str(caught.value)


def test_aliases_that_are_meant_work() -> None:
    """A list that is used twice, and a mapping that is merged."""
    text = "a: &levels [relu, elu]\nb: *levels\nc: &c {x: 1}\nd: {<<: *c, y: 2}"
    assert plain(text) == {"a": ["relu", "elu"], "b": ["relu", "elu"], "c": {"x": 1}, "d": {"x": 1, "y": 2}}


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"name: \xc3\x28", "name: \udc80".encode("utf-8", "surrogatepass")])
def test_a_file_that_is_no_text(content: bytes, tmp_path: Path) -> None:
    """Said so, in a sentence."""
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match="not UTF-8 text"):
        read_study(file)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "z.__class__.__mro__",
        "(lambda: z)()",
        "eval(z)",
        "open(z)",
        "z; z",
        "z if z else z",
        "[z]",
        "z[0]",
        "'z'",
        "{z}",
        "z := 1",
        "z\0",
        "\u2160z",  # a Roman numeral
        "\uff5a",  # a full-width z
        "z\u200b",
        "\u0661 * z",  # an Arabic digit
        "1e999 * z",
        "0x10 * z",
        "1_0 * z",
        "z" * 501,
        "(" * 250 + "z" + ")" * 249,
        "(" * 249 + "z" + ")" * 249,
        "-" * 400 + "z",
        "z" + "**z" * 150,
        "z" + "+z" * 200,
        "exp(" * 100 + "z" + ")" * 100,
        "where(" * 70,
        "",
        " ",
    ],
)
def test_an_expression_that_hurts(text: str) -> None:
    """Refused with a position; as a study too, at its path."""
    with pytest.raises(ExpressionError):
        parse(text)
    with pytest.raises(InvalidInput) as caught:
        parse_study({"name": "s", "activation": {"name": "expression", "expr": text}})
    assert caught.value.errors[0].path == "activation.expr"
    assert len(caught.value.errors[0].message) < 500


@pytest.mark.parametrize("name", ["z", "exp", "__class__", "a.b", "a b", "", "x" * 100, "\u017f", "a\n"])
def test_a_parameter_that_is_no_word(name: str) -> None:
    """Neither a name of the language nor anything else than a word."""
    level = {"name": "expression", "expr": "z", "parameters": {name: {"init": 1.0}}}
    with pytest.raises(InvalidInput) as caught:
        parse_study({"name": "s", "activation": level})
    assert caught.value.errors[0].path == "activation.parameters"


def test_towers_of_powers_are_numbers_of_the_machine() -> None:
    """Nothing is computed while a study is resolved: what overflows is found by training, which diverges."""
    level = {"name": "expression", "expr": "z + 9 ** 9 ** 9 ** 9 ** 9"}
    design = expand(parse_study({"name": "s", "activation": level, "seeds": 1}))
    assert design.cells[0].config.activation.label()


KEYS = {f"k{n}": n for n in range(30_000)}
MANY: dict[str, dict[str, Any]] = {
    "unknown fields": KEYS,
    "paths of one cell": {"include": [KEYS]},
    "cells": {"include": [{f"k{n}": 1} for n in range(9_999)]},
    "paths of a pattern": {"exclude": [KEYS]},
    "values of a pattern": {"exclude": [{"activation": ["rely"] * 30_000}]},
    "paths of the reference": {"reference": KEYS},
    "levels": {"factors": {"activation": [f"r{n}" for n in range(30_000)]}},
    "twice the same level": {"factors": {"activation": ["relu"] * 30_000}},
    "tags": {"tags": KEYS},
    "parts of a path": {"include": [{"a." * 300_000 + "b": 1}]},
    "parameters": {"activation": {"name": "expression", "expr": "z", "parameters": KEYS}},
}


@pytest.mark.parametrize("name", MANY)
def test_of_many_faults_some_are_told(name: str) -> None:
    """Neither the answer nor the work grows beyond what was sent."""
    with pytest.raises(InvalidInput) as caught:
        expand(parse_study({"name": "s", **MANY[name]}))
    assert len(caught.value.errors) <= 101
    assert len(str(caught.value)) < 200_000
    assert len(caught.value.errors) < 101 or "faults more" in caught.value.errors[-1].message


def test_values_of_exclusions_are_counted() -> None:
    """Each of them is compared with each cell."""
    grid = {"training.learning_rate": [n / 2000 for n in range(1, 2000)]}
    with pytest.raises(InvalidInput, match="fewer patterns"):
        expand(parse_study({"name": "s", "factors": grid, "exclude": [{"activation": ["elu"] * 20_000}]}))


VAST: list[tuple[dict[str, Any], str]] = [
    (
        {"factors": {f"training.{name}": [n / 2000 for n in range(1, 1001)] for name in ("l1", "momentum", "dropout")}},
        "factors",
    ),
    ({"factors": {"training.l1": list(range(1000))}, "seeds": 10_000}, "factors"),
    ({"seeds": 10**9}, "seeds"),
    ({"seeds": list(range(20_000))}, "seeds"),
    ({"include": [{}] * 20_000}, "include"),
    ({"exclude": [{"activation": "relu"}] * 2000}, "exclude"),
    ({"tags": {str(n): "" for n in range(1000)}}, "tags"),
    ({"training": {"epochs": 10**9}}, "training.epochs"),
    ({"model": {"kind": "mlp", "width": 10**9}}, "model.width"),
    ({"model": {"kind": "mlp", "depth": 10**9}}, "model.depth"),
    ({"probes": {"schedule": {"points": 10**9}}}, "probes.schedule.points"),
]


@pytest.mark.parametrize(("document", "path"), VAST, ids=[path for _, path in VAST])
def test_what_is_vast_is_counted_before_it_is_made(document: dict[str, Any], path: str) -> None:
    """Refused at its path; a thousand million trials are never listed."""
    with pytest.raises(InvalidInput) as caught:
        expand(parse_study({"name": "s", **document}))
    assert [fault.path for fault in caught.value.errors] == [path]
