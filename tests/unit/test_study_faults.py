"""Every fault of a study is told at its own path, with the value and what would have been accepted."""

from typing import Any

import pytest

from actinium.errors import InvalidInput
from actinium.study import expand, load_study, parse_study


def faults(document: dict[str, Any], **limits: int) -> dict[str, str]:
    """What is wrong with a study, message by path."""
    with pytest.raises(InvalidInput) as caught:
        expand(parse_study({"name": "s", **document}), **limits)
    found = {error.path: error.message for error in caught.value.errors}
    assert len(found) == len(caught.value.errors), "a path is told once"
    return found


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"trainin": {}}, "trainin", "did you mean training"),
    ({"training": {"epoch": 3}}, "training.epoch", "did you mean epochs"),
    ({"model": {"kind": "mlp", "dept": 3}}, "model.dept", "did you mean depth"),
    ({"model": {"kind": "gru"}}, "model.kind", "'gru' is not accepted; give one of mlp, cnn"),
    ({"model": {"depth": 3}}, "model.kind", "missing"),
    ({"activation": "rely"}, "activation", "did you mean relu"),
    ({"activation": {"name": "leaky_relu", "slope": 1}}, "activation.slope", "negative_slope"),
    ({"activation": {"name": "leaky_relu", "negative_slope": 7}}, "activation.negative_slope", "at most 1"),
    ({"activation": ["relu"]}, "activation", "give a name"),
    ({"task": {"dataset": "digit"}}, "task.dataset", "did you mean digits"),
    ({"task": {"validation_fraction": 0.6, "test_fraction": 0.5}}, "task.validation_fraction", "less than 1 in sum"),
    ({"task": {"train_examples": 5000}}, "task.train_examples", "5000 is more than the 1079"),
    ({"training": {"learning_rate": -0.1}}, "training.learning_rate", "-0.1 is not accepted"),
    ({"training": {"learning_rate": float("nan")}}, "training.learning_rate", "nan is not accepted"),
    ({"training": {"batch_size": 4096}}, "training.batch_size", "4096 is more than the 1079"),
    ({"factors": {"activation": []}}, "factors.activation", "an empty factor; give at least one level"),
    ({"factors": {"activation": ["relu", "relu"]}}, "factors.activation", "stands twice"),
    ({"factors": {"activation": ["relux"]}}, "factors.activation", "did you mean relu"),
    ({"factors": {"activation": "relu"}}, "factors.activation", "valid list"),
    ({"factors": {"activaton": ["relu"]}}, "factors.activaton", "did you mean activation"),
    ({"factors": {"training.learning_rate": [-1]}}, "factors.training.learning_rate", "-1 is not accepted"),
    ({"factors": {"training.batch_size": [8, 4096]}}, "factors.training.batch_size", "4096 is more than"),
    ({"factors": {"model.kind": ["mlp", "cnn"]}}, "factors.model.kind", "vary `model` as a whole"),
    ({"factors": {"seed": [1]}}, "factors.seed", "no such path"),
    ({"factors": {"target_loss": [1.0]}}, "factors.target_loss", "no such path"),
    ({"factors": {"model": [{"kind": "mlp"}], "model.depth": [3]}}, "factors.model.depth", "give one of the two"),
    ({"factors": {"activation.negative_slope": [0.1]}}, "factors.activation.negative_slope", "has no parameter"),
    ({"factors": {"normalization": ["instance"]}}, "factors", "fully connected"),
    ({"exclude": [{}]}, "exclude.0", "at least 1"),
    ({"exclude": [{"activation": None}]}, "exclude.0.activation", "give a name"),
    ({"include": [{"activation": "x"}]}, "include.0.activation", "known"),
    ({"include": [{"model": 3, "model.depth": 4}]}, "include.0.model.depth", "give one of the two"),
    ({"reference": {"activation": "tanh"}}, "reference", "matches no cell"),
    ({"seeds": [1, 1]}, "seeds", "not distinct"),
    ({"seeds": [0, -2]}, "seeds.1", "-2 is not accepted"),
    ({"seeds": "many"}, "seeds", "'many' is not accepted"),
    ({"seeds": 0}, "seeds", "0 is not accepted"),
    ({"name": "12"}, "name", "read as an id"),
    ({"name": "a/b"}, "name", "'a/b' is not accepted"),
    ({"name": "a\n"}, "name", "is not accepted"),
    ({"tags": {"int": 5}}, "tags.int", "5 is not accepted"),
    ({"priority": 101}, "priority", "101 is not accepted"),
    ({"probes": {"schedule": None}}, "probes.schedule", "None is not accepted"),
]


@pytest.mark.parametrize(
    ("document", "path", "words"), CASES, ids=[f"{path}-{n}" for n, (_, path, _) in enumerate(CASES)]
)
def test_a_fault_names_path_and_mend(document: dict[str, Any], path: str, words: str) -> None:
    """The one fault of each document stands at its path."""
    found = faults(document)
    assert list(found) == [path]
    assert words in found[path]


def test_all_faults_are_told_at_once() -> None:
    """One round is enough to mend a document."""
    document = {"priority": "high", "training": {"learning_rate": 0, "epochs": 1.5}, "factors": {"activation": []}}
    assert set(faults(document)) == {"priority", "training.learning_rate", "training.epochs", "factors.activation"}


def test_a_grid_over_the_limit_is_refused_before_it_is_made() -> None:
    """A million million trials cost no time to refuse."""
    wide = {f"training.{name}": [i / 1000 for i in range(1, 1000)] for name in ("learning_rate", "momentum", "beta1")}
    found = faults({"factors": wide, "seeds": 1000})
    assert "at most 100000 are accepted" in found["factors"]
    assert "at most 3" in faults({"factors": {"activation": ["relu", "tanh"]}, "seeds": 2}, max_trials=3)["factors"]


def test_exclusions_without_end_are_refused() -> None:
    """Cells times exclusions are bounded."""
    grid = {"training.learning_rate": [i / 2000 for i in range(1, 2000)]}
    found = faults({"factors": grid, "exclude": [{"activation": "tanh"}] * 1000, "seeds": 1})
    assert "fewer patterns" in found["exclude"]


def test_no_message_repeats_a_huge_value() -> None:
    """What is told stays short, whatever was sent."""
    huge = "x" * 100_000
    for document in ({"activation": huge}, {"description": huge}, {huge: 1}, {"factors": {huge: [1]}}, {"seeds": huge}):
        for path, message in faults(document).items():
            assert len(path) <= 300
            assert len(message) < 2000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "'a' stands twice"),
        ("a: [1", "line 1"),
        ("- 1", "got list"),
        ("", "got NoneType"),
        ("[" * 5000, "nested"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("2020-99-99: 1", "unknown field"),
        ("name: s\ntags: {when: !!binary aGk=}", "tags.when: b'hi' is not accepted"),
        ("name: s\ntraining: {momentum: .nan}", "training.momentum: nan is not accepted"),
        ("? [1, 2]\n: 3", ""),
    ],
)
def test_a_file_that_is_no_study_is_refused(text: str, words: str) -> None:
    """Syntax, tags, doubled keys and nesting, each with a word on where."""
    with pytest.raises(InvalidInput) as caught:
        parse_study(load_study(text))
    assert words in str(caught.value)


@pytest.mark.parametrize("where", ["activation", "factors.activation", "reference.activation", "exclude.0.activation"])
def test_a_whole_number_past_every_float_is_a_fault_of_its_parameter(where: str) -> None:
    level = {"name": "leaky_relu", "negative_slope": 10**400}
    documents: dict[str, dict[str, Any]] = {
        "activation": {"activation": level},
        "factors.activation": {"factors": {"activation": [level]}},
        "reference.activation": {"reference": {"activation": level}},
        "exclude.0.activation": {"exclude": [{"activation": level}]},
    }
    (path,) = faults(documents[where])
    assert path.startswith(where) and path.endswith("negative_slope")
