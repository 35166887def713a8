"""Written activations in a study: as factors, in labels and digests, and what is refused, by path and mend."""

import pytest

from actinium.errors import InvalidInput
from actinium.levels import Activation
from actinium.study import expand, parse_study

SWISH = {"name": "expression", "expr": "z*sigmoid(beta*z)", "parameters": {"beta": {"init": 1, "learnable": True}}}


def test_it_stands_beside_the_built_in_levels() -> None:
    spec = parse_study({"name": "own", "factors": {"activation": ["relu", SWISH]}, "seeds": 2})
    cells = expand(spec).cells
    assert [cell.config.activation.label() for cell in cells] == [
        "relu",
        "z * sigmoid(beta * z) [beta from 1 by channel]",
    ]
    assert cells[0].config.pack_key() == cells[1].config.pack_key()
    again = type(cells[1].config).model_validate_json(cells[1].config.model_dump_json())
    assert again == cells[1].config and again.digest() == cells[1].config.digest()
    assert Activation.of(cells[1].cell["activation"]) == again.activation
    assert hash(again.activation) == hash(cells[1].config.activation)


def test_one_expression_in_two_spellings_is_one_level_twice() -> None:
    spellings = [SWISH, {**SWISH, "expr": "z * (sigmoid(beta * z))"}]
    with pytest.raises(InvalidInput) as raised:
        parse_study({"name": "own", "factors": {"activation": spellings}})
    assert "stands twice" in raised.value.errors[0].message


@pytest.mark.parametrize(
    ("level", "path", "words"),
    [
        ({}, "activation.expr", "missing; give an expression of z"),
        ({"expr": 3}, "activation.expr", "a text of at most 500"),
        ({"expr": "z +"}, "activation.expr", "at position 4: "),
        ({"expr": "open(z)"}, "activation.expr", "at position 1: no function is called 'open'"),
        ({"expr": "a * z"}, "activation.expr", "no 'a' is known"),
        ({"expr": "z", "parameters": {"a": {"init": 1}}}, "activation.expr", "never uses a"),
        ({"expr": "z", "parameters": []}, "activation.parameters", "a mapping"),
        ({"expr": "z", "parameters": {"exp": {"init": 1}}}, "activation.parameters", "cannot name a parameter"),
        ({"expr": "z", "parameters": {"z": {"init": 1}}}, "activation.parameters", "cannot name a parameter"),
        ({"expr": "z", "parameters": {"a.b": {"init": 1}}}, "activation.parameters", "cannot name a parameter"),
        ({"expr": "a * z", "parameters": {"a": 1}}, "activation.parameters.a", "give {init: 1.0"),
        ({"expr": "a * z", "parameters": {"a": {}}}, "activation.parameters.a.init", "missing"),
        ({"expr": "a * z", "parameters": {"a": {"init": 1e9}}}, "activation.parameters.a.init", "between"),
        ({"expr": "a * z", "parameters": {"a": {"init": True}}}, "activation.parameters.a.init", "between"),
        (
            {"expr": "a * z", "parameters": {"a": {"init": 1, "per": "unit"}}},
            "activation.parameters.a.per",
            "channel or layer",
        ),
        (
            {"expr": "a * z", "parameters": {"a": {"init": 1, "learnabel": True}}},
            "activation.parameters.a.learnabel",
            "did you mean learnable?",
        ),
        (
            {"expr": "z", "parameters": {f"a{number}": {"init": 1} for number in range(9)}},
            "activation.parameters",
            "at most 8",
        ),
    ],
)
def test_what_is_refused(level: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_study({"name": "own", "activation": {"name": "expression", **level}})
    fault = raised.value.errors[0]
    assert fault.path == path
    assert words in fault.message
