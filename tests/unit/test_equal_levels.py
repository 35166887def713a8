"""Levels that mean the same are said; parts that are too small are refused."""

from typing import Any

import pytest

from actinium.datasets.table import StoredDataset
from actinium.equal_levels import NEVER_USED, EqualLevels, training_identity, unused, without_effect
from actinium.errors import InvalidInput
from actinium.frame import LaneFinished
from actinium.study import Design, expand, parse_study
from actinium.trial import Task, Training, TrialConfig
from workers.training.train import train_pack


def design(find: dict[str, StoredDataset] | None = None, **document: Any) -> Design:
    """The grid of a document; `find` are stored datasets by name."""
    return expand(parse_study({"name": "s", "seeds": 1, **document}), find=(find or {}).get)


def test_adam_and_adamw_without_decay_are_said_to_be_the_same() -> None:
    """cases/adamw.yaml. They are: the numbers are equal to the bit. With torch's own decay they are not."""
    found = design(factors={"training.optimizer": ["adam", "adamw", "sgd"]})
    (equal,) = found.equal
    assert (equal.levels, equal.same_as, equal.merged, equal.cells) == (
        {"training.optimizer": "adamw"},
        {"training.optimizer": "adam"},
        False,
        1,
    )
    assert "0.01" in equal.reason and len(found.cells) == 3
    assert design(training={"weight_decay": 0.01}, factors={"training.optimizer": ["adam", "adamw"]}).equal == ()


SMALL = {"task": {"train_examples": 100}, "model": {"kind": "mlp", "depth": 1, "width": 8}}
EITHER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"optimizer": "adam", "weight_decay": 0.0}, {"optimizer": "adamw", "weight_decay": 0.0}),
    ({"optimizer": "adam", "momentum": 0.0}, {"optimizer": "adam", "momentum": 0.9}),
    ({"optimizer": "sgd", "beta1": 0.5, "beta2": 0.5}, {"optimizer": "sgd", "adam_epsilon": 0.1}),
    ({"reference_batch_size": 8}, {"reference_batch_size": 16}),
]


@pytest.mark.parametrize(("one", "other"), EITHER)
def test_what_is_said_to_change_nothing_changes_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Every metric of two such trials is equal to the bit."""
    plain = {"learning_rate": 0.01, "batch_size": 16, "epochs": 2}
    configs = [TrialConfig.model_validate({**SMALL, "training": {**plain, **own}}) for own in (one, other)]
    assert training_identity(configs[0]) == training_identity(configs[1])
    assert configs[0].digest() != configs[1].digest()
    ends = [e.summary.metrics for c in configs for e in train_pack([c]) if isinstance(e, LaneFinished)]
    assert ends[0] == pytest.approx(ends[1], rel=0, abs=0, nan_ok=True)


def test_what_is_used_stays_apart() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"momentum": 0.5},
        {"optimizer": "adam"},
        {"optimizer": "adam", "beta1": 0.5},
        {"optimizer": "adam", "weight_decay": 0.1},
        {"optimizer": "adamw", "weight_decay": 0.1},
        {"learning_rate_rule": "linear", "reference_batch_size": 8},
        {"learning_rate_rule": "linear", "reference_batch_size": 16},
    ]
    configs = [TrialConfig(training=Training.model_validate(given)) for given in changes]
    configs += [TrialConfig(task=Task(test_fraction=fraction)) for fraction in (0.1, 0.3)]
    configs += [TrialConfig(task=Task(scaling="zca", zca_epsilon=epsilon)) for epsilon in (0.1, 0.3)]
    assert len({training_identity(config) for config in configs}) == len(configs)


def test_only_what_can_be_unused_is_searched_for() -> None:
    """`NEVER_USED` names all that `unused` can say."""
    tasks = [Task(), Task(dataset="mnist"), Task(scaling="zca"), Task(dataset="mine", stored=stored(test=5, valid=5))]
    trainings = [Training(optimizer=name) for name in ("sgd", "adam", "adamw")]
    rules = [Training(learning_rate_rule=rule) for rule in ("fixed", "linear")]
    said = {path for t in tasks for r in (*trainings, *rules) for path in unused(TrialConfig(task=t, training=r))}
    assert said == set(NEVER_USED)


def stored(address: str = "a", *, test: int = 0, valid: int = 0) -> StoredDataset:
    """A dataset of somebody's own."""
    return StoredDataset(
        sha256=address * 64, shape=(5, 1, 1), classes=2, examples=200, official_validation=valid, official_test=test
    )


def test_equal_arrays_under_two_names_are_said_and_are_one_cell() -> None:
    """cases/data_kinds.yaml: 12 cells became 9 without a word."""
    names = {"float64": stored("a"), "fortran": stored("a"), "other": stored("b"), "masked": stored("a")}
    found = design(
        names, factors={"task.dataset": list(names), "activation": ["relu", "elu"]}, training={"batch_size": 16}
    )
    assert len(found.cells) == 4
    assert [(e.levels, e.same_as, e.cells, e.merged) for e in found.equal] == [
        ({"task.dataset": "fortran"}, {"task.dataset": "float64"}, 2, True),
        ({"task.dataset": "masked"}, {"task.dataset": "float64"}, 2, True),
    ]
    assert all(equal.reason == "the same numbers under two names" for equal in found.equal)


def test_one_level_written_twice_is_said() -> None:
    found = design(factors={"training.batch_size": ["2", 2, 8], "training.optimizer": ["SGD", "sgd"]})
    assert len(found.cells) == 2
    assert ({"training.batch_size": 2}, {"training.batch_size": "2"}) in [(e.levels, e.same_as) for e in found.equal]
    assert all(equal.merged for equal in found.equal)
    again = design(factors={"activation": ["relu"]}, include=[{"activation": "relu"}])
    assert again.equal == (), "what is included as it stands is no second name of anything"


def test_many_equal_levels_stay_few_sentences() -> None:
    momenta = {"training.momentum": [i / 1000 for i in range(900)]}
    found = design(training={"optimizer": "adam"}, factors=momenta)
    assert 0 < len(found.equal) <= 100 and isinstance(found.equal[0], EqualLevels)


def test_settings_without_effect_are_said_once() -> None:
    def said(**document: Any) -> list[str]:
        return without_effect([cell.config for cell in design(**document).cells])

    assert said() == []
    (adamw,) = said(training={"optimizer": "adamw"})
    assert adamw.startswith("training.optimizer: adamw changes nothing: without weight_decay adamw is adam")
    assert said(training={"optimizer": "adamw", "weight_decay": 0.1}) == []
    (fraction,) = said(task={"dataset": "mnist", "test_fraction": 0.5})
    assert fraction == "task.test_fraction: 0.5 changes nothing: mnist has a test part of its own"
    assert said(task={"test_fraction": 0.5}) == []
    (momentum,) = said(training={"momentum": 0.5}, factors={"training.optimizer": ["adam"]})
    assert "adam has beta1 in its place" in momentum


THIN: list[tuple[dict[str, Any], dict[str, str]]] = [
    (
        {"factors": {"task.test_fraction": [0.2, 0.0006, 0.0002]}},
        {"factors.task.test_fraction": "0.0006 leaves 1 test example of 1,797, and measurements need 2; give 0.0012"},
    ),
    ({"task": {"test_fraction": 0.0002}}, {"task.test_fraction": "0.0002 leaves no test examples of 1,797"}),
    ({"task": {"validation_fraction": 0.0006}}, {"task.validation_fraction": "leaves 1 validation example"}),
    (
        {"task": {"validation_fraction": 0.0001, "test_fraction": 0.0001}},
        {"task.validation_fraction": "leaves no validation", "task.test_fraction": "leaves no test"},
    ),
    ({"task": {"train_examples": 1}, "training": {"batch_size": 1}}, {"task.train_examples": "give 2 or more"}),
    (
        {"task": {"validation_fraction": 0.5, "test_fraction": 0.4996}, "training": {"batch_size": 1}},
        {"task.validation_fraction": "1 training example left"},
    ),
    ({"task": {"dataset": "mnist", "validation_fraction": 1e-5}}, {"task.validation_fraction": "of 60,000"}),
    ({"factors": {"task": [{"dataset": "xor", "test_fraction": 0.001}]}}, {"factors.task.test_fraction": "of 1,000"}),
]


@pytest.mark.parametrize(("document", "expected"), THIN)
def test_a_part_of_no_or_one_example_is_refused(document: dict[str, Any], expected: dict[str, str]) -> None:
    """cases/one_test_example.yaml: accepted, then a crash in every trial."""
    with pytest.raises(InvalidInput) as caught:
        design(**document)
    found = {fault.path: fault.message for fault in caught.value.errors}
    assert set(found) == set(expected)
    assert all(words in found[path] for path, words in expected.items())


def test_the_fraction_that_is_offered_is_enough() -> None:
    for fraction in (0.0, 1e-5, 0.0006):
        for dataset in ("digits", "xor", "mnist"):
            task = Task(dataset=dataset, validation_fraction=max(fraction, 1e-9))
            (fault,) = task.thin_parts() or [None]
            if fault is not None:
                offered = float(fault.message.rpartition("give ")[2].removesuffix(" or more"))
                assert not Task(dataset=dataset, validation_fraction=offered).thin_parts()


LEVELS = {"normalization": ["batch", "batch_renorm", "none", "layer"], "initialization": ["he", "lsuv"]}


@pytest.mark.parametrize(
    "document",
    [
        {"task": {"test_fraction": 0.0012, "validation_fraction": 0.0012}},
        {"task": {"train_examples": 2}, "training": {"batch_size": 2}},
        {"task": {"dataset": "regression_1d", "test_fraction": 0.002, "validation_fraction": 0.002}},
        {"task": {"test_fraction": 0.0012}, "model": {"kind": "autoencoder", "depth": 1, "bottleneck": 4}},
        {
            "task": {"test_fraction": 0.0012, "validation_fraction": 0.0012},
            "model": {"kind": "cnn", "width": 4},
            "training": {"batch_size": 64},
        },
    ],
)
def test_two_examples_are_enough_for_every_measurement(document: dict[str, Any]) -> None:
    """With and without batch statistics, classes, numbers and images: every trial ends, and its error is a number."""
    plain = {"name": "s", "seeds": 1, "model": {"kind": "mlp", "depth": 1, "width": 8}, "factors": LEVELS}
    training = {"learning_rate": 0.01, "batch_size": 64, "epochs": 1, **document.get("training", {})}
    for cell in expand(parse_study({**plain, **document, "training": training})).cells:
        *_, end = train_pack([cell.trial(0)])
        assert isinstance(end, LaneFinished), cell.cell
        assert 0.0 <= end.summary.metrics["test_error"] <= 1.0, cell.cell
