"""A dataset of somebody's own in a task and in a training process."""

import io

import numpy as np
import pytest

from actinium.datasets.file import read_dataset
from actinium.datasets.table import StoredDataset
from actinium.errors import DatasetMissing, InvalidInput
from actinium.frame import LaneFinished, Outcome
from actinium.trial import Task, TrialConfig
from workers.datasets.stored import SHELF, Shelf
from workers.datasets.tasks import load_task
from workers.training.train import train_pack


def made(seed: int = 0) -> tuple[bytes, StoredDataset]:
    """Two classes that lie apart in six dimensions."""
    labels = np.arange(60) % 2
    inputs = np.random.default_rng(seed).normal(size=(60, 6)) + 3.0 * labels[:, None]
    file = io.BytesIO()
    np.savez(file, inputs=inputs.astype(np.float32), labels=labels)
    return file.getvalue(), read_dataset(file.getvalue(), most_bytes=10**6).facts()


def config_of(stored: StoredDataset, name: str = "mine") -> TrialConfig:
    """A small trial on it."""
    return TrialConfig.model_validate(
        {
            "task": {"dataset": name, "stored": stored.model_dump()},
            "model": {"kind": "mlp", "depth": 2, "width": 16},
            "training": {"batch_size": 8, "epochs": 5},
        }
    )


def test_a_task_knows_shape_and_size_without_any_file() -> None:
    """From the stored facts; an unknown name without them is refused."""
    _, facts = made()
    task = config_of(facts).task
    assert (task.definition().shape, task.definition().classes, task.counts()) == ((6, 1, 1), 2, (36, 12, 12))
    with pytest.raises(ValueError, match=r"called 'mine'; known: digits.*; `actinium data add` adds yours"):
        Task(dataset="mine")


def test_the_digest_holds_the_content_and_not_the_name() -> None:
    """One content under two names is one config; two contents under one name are two."""
    (_, first), (_, second) = made(0), made(1)
    assert config_of(first).digest() == config_of(first, "other").digest()
    assert config_of(first).digest() != config_of(second).digest()
    assert config_of(first).pack_key() != config_of(second).pack_key()


def test_a_process_trains_on_what_it_was_handed() -> None:
    """The two classes are told apart; nothing is trained before the arrays are there."""
    content, facts = made(2)
    with pytest.raises(DatasetMissing, match="was not handed to this process"):
        list(train_pack([config_of(facts)]))
    SHELF.put(facts.sha256, content)
    (end,) = [event for event in train_pack([config_of(facts)]) if isinstance(event, LaneFinished)]
    assert end.summary.metrics["test_error"] <= 0.1
    assert load_task(config_of(facts).task, seed=0).inputs.shape == (60, 6, 1, 1)


def test_numbers_to_predict_are_a_regression() -> None:
    """A line in six dimensions is found."""
    inputs = np.random.default_rng(0).normal(size=(400, 6))
    file = io.BytesIO()
    np.savez(file, inputs=inputs, targets=inputs @ np.linspace(-0.5, 0.5, 6))
    facts = read_dataset(file.getvalue(), most_bytes=10**6).facts()
    SHELF.put(facts.sha256, file.getvalue())
    document = config_of(facts).model_dump()
    document["training"]["learning_rate"] = 0.01
    *_, end = train_pack([TrialConfig.model_validate(document)])
    assert isinstance(end, LaneFinished) and end.summary.outcome is Outcome.LEARNED
    assert end.summary.metrics["test_error"] < 0.3


def test_a_shelf_keeps_the_last_few_and_refuses_what_is_not_the_content() -> None:
    """The least recently used one goes; a wrong address is refused."""
    sets = [made(seed) for seed in range(3)]
    shelf = Shelf(most=2)
    for content, facts in sets[:2]:
        shelf.put(facts.sha256, content)
    shelf.get(sets[0][1])
    shelf.put(sets[2][1].sha256, sets[2][0])
    shelf.get(sets[0][1])
    with pytest.raises(DatasetMissing):
        shelf.get(sets[1][1])
    with pytest.raises(InvalidInput, match="add the file again"):
        shelf.put("0" * 64, sets[1][0])


def test_a_convolution_on_vectors_is_an_invalid_design() -> None:
    """It is listed with its reason, and not run."""
    _, facts = made()
    document = config_of(facts).model_dump() | {"model": {"kind": "cnn"}}
    assert "6x1x1" in str(TrialConfig.model_validate(document).invalid_design())
