"""What an extension asks for, and the study that it makes of one."""

from typing import Any

import pytest

from actinium.errors import InvalidInput
from actinium.extension import extended, parse_extension
from actinium.study import StudySpec, parse_study
from actinium.terminal.overrides import added_levels

STUDY: dict[str, Any] = {
    "name": "small",
    "factors": {"activation": ["relu", {"name": "leaky_relu", "negative_slope": 0.1}], "training.batch_size": [2, 32]},
    "seeds": 3,
}


def study(**fields: Any) -> StudySpec:
    return parse_study({**STUDY, **fields})


@pytest.mark.parametrize(
    ("had", "added", "union"),
    [
        (3, 5, 5),
        (5, 3, 5),
        (3, [3, 4], 5),
        (3, [9, 0, 7], [0, 1, 2, 9, 7]),
        ([7, 3], 2, [7, 3, 0, 1]),
        ([0, 1], 4, 4),
        (3, None, 3),
    ],
)
def test_seeds_become_the_union(had: Any, added: Any, union: Any) -> None:
    given = {"seeds": added} if added is not None else {"factors": {"activation": ["elu"]}}
    assert extended(study(seeds=had), parse_extension(given)).seeds == union


def test_levels_come_behind_those_that_are_there_and_each_once() -> None:
    more = ["elu", {"name": "relu"}, {"name": "leaky_relu", "negative_slope": 0.1}, "leaky_relu", "elu"]
    before = study()
    after = extended(before, parse_extension({"factors": {"activation": more}}))
    assert after.factors["activation"] == [*STUDY["factors"]["activation"], "elu", "leaky_relu"]
    assert list(after.factors) == list(before.factors)
    assert after.model_copy(update={"factors": before.factors}) == before


REFUSED: list[tuple[Any, str, str]] = [
    ({}, "", "nothing to add; give seeds, factors or both"),
    ([], "", ""),
    ({"seeds": 0}, "seeds", "0 is not accepted"),
    ({"seeds": [1, 1]}, "seeds", "not distinct"),
    ({"levels": {}}, "levels", "factors"),
    ({"factors": {"activation": []}}, "factors.activation", "at least 1"),
    ({"factors": {"activation": ["rely"]}}, "factors.activation", "did you mean"),
    ({"factors": {"activations": ["elu"]}}, "factors.activations", "no factor of this study; did you mean activation?"),
    ({"factors": {"training.epochs": [3]}}, "factors.training.epochs", "no factor of this study"),
]


def test_what_cannot_be_added_is_refused_at_its_path(subtests: pytest.Subtests) -> None:
    for document, path, words in REFUSED:
        with subtests.test(document=document), pytest.raises(InvalidInput) as raised:
            extended(study(), parse_extension(document))
        assert raised.value.errors[0].path == path, document
        assert words in raised.value.errors[0].message
    with pytest.raises(InvalidInput, match="the study has no factors; give seeds"):
        extended(study(factors={}), parse_extension({"factors": {"activation": ["elu"]}}))


def test_levels_of_the_command_line() -> None:
    words = ["factors.activation+=elu", "factors.activation+=[gelu, {name: prelu}]", "factors.training.batch_size+=64"]
    assert added_levels(words) == {"activation": ["elu", "gelu", {"name": "prelu"}], "training.batch_size": [64]}
    for wrong in ("factors.activation=elu", "activation+=elu", "factors.+=elu", "factors.activation+=[elu"):
        with pytest.raises(InvalidInput, match=r"--set factors|--set activation"):
            added_levels([wrong])
