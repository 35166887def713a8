"""`--set path=value`."""

import pytest

from actinium.errors import InvalidInput
from actinium.terminal.overrides import with_overrides


def test_values_are_yaml_and_paths_are_dotted() -> None:
    """Parents are made, levels take parameters, factors are keyed by their whole path; the input stays as it was."""
    document = {"activation": "leaky_relu", "factors": {"activation": ["relu"]}}
    changed = with_overrides(
        document,
        [
            "training.epochs=5",
            "activation.negative_slope=0.2",
            "factors.training.batch_size=[2, 8]",
            "reference.training.batch_size=8",
            "tags.paper.year=2015",
            "name=a=b",
            "description=",
        ],
    )
    assert changed == {
        "activation": {"name": "leaky_relu", "negative_slope": 0.2},
        "factors": {"activation": ["relu"], "training.batch_size": [2, 8]},
        "reference": {"training.batch_size": 8},
        "tags": {"paper.year": 2015},
        "training": {"epochs": 5},
        "name": "a=b",
        "description": None,
    }
    assert document == {"activation": "leaky_relu", "factors": {"activation": ["relu"]}}


@pytest.mark.parametrize("override", ["epochs", "=5", ".=5", "training.epochs=[1", "seeds.x=1"])
def test_what_cannot_be_set_is_refused(override: str) -> None:
    """With the override's own words."""
    with pytest.raises(InvalidInput):
        with_overrides({"seeds": 3}, [override])
