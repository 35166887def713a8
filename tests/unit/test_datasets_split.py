"""Splits: stratified, disjoint, of the sizes that the task says, the same for the same seed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from actinium.datasets.table import DATASETS
from actinium.trial import Task
from workers.datasets import load, split
from workers.datasets.splits import proportional
from workers.seeding import generator


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """Tasks on digits with any fractions that leave training examples."""
    validation = draw(st.floats(0.001, 0.6))
    test = draw(st.floats(0.001, 0.39))
    split_seed = draw(st.one_of(st.just("seed"), st.integers(0, 2**31 - 1)))
    task = Task(validation_fraction=validation, test_fraction=test, split_seed=split_seed)
    wanted = draw(st.one_of(st.none(), st.integers(1, task.available())))
    return task.model_copy(update={"train_examples": wanted})


@settings(deadline=None, max_examples=60)
@given(task=tasks(), seed=st.integers(0, 2**31 - 1))
def test_sizes_are_the_tasks_and_parts_are_disjoint_and_stratified(task: Task, seed: int) -> None:
    labels = load("digits").labels
    parts = split(task, labels, seed)
    _, validation, test = task.counts()
    assert (parts.train.numel(), parts.validation.numel(), parts.test.numel()) == (task.train_count(), validation, test)
    together = torch.cat([parts.train, parts.validation, parts.test])
    assert together.unique().numel() == together.numel()
    assert together.dtype == torch.int64
    assert (together >= 0).all() and (together < labels.numel()).all()
    share = labels.bincount(minlength=10) / labels.numel()
    for part in (parts.test, parts.validation, parts.train):
        counts = labels[part].bincount(minlength=10)
        # one rounding each for test, validation and (of the rest of those two) training
        assert (counts - share * part.numel()).abs().max() < 3.0


@settings(deadline=None, max_examples=30)
@given(task=tasks(), seeds=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)))
def test_the_split_is_a_function_of_its_seed_alone(task: Task, seeds: tuple[int, int]) -> None:
    labels = load("digits").labels
    first, again, other = split(task, labels, seeds[0]), split(task, labels, seeds[0]), split(task, labels, seeds[1])
    assert torch.equal(first.train, again.train) and torch.equal(first.test, again.test)
    if task.split_seed != "seed":
        assert torch.equal(first.train, other.train) and torch.equal(first.validation, other.validation)
    for name in ("train", "validation", "test"):
        counts = [labels[getattr(part, name)].bincount(minlength=10) for part in (first, other)]
        assert torch.equal(*counts), "class counts do not depend on the seed"


def test_other_seeds_draw_other_splits_and_fewer_training_examples_leave_the_rest_alone() -> None:
    labels = load("digits").labels
    whole, other = split(Task(), labels, 0), split(Task(), labels, 1)
    assert not torch.equal(whole.test.sort().values, other.test.sort().values)
    fewer = split(Task(train_examples=100), labels, 0)
    assert torch.equal(fewer.test, whole.test) and torch.equal(fewer.validation, whole.validation)
    assert np.isin(fewer.train, whole.train).all()
    assert labels[fewer.train].bincount().tolist() == [10] * 10


def test_the_first_training_examples_are_a_fair_sample() -> None:
    labels = load("digits").labels
    first = labels[split(Task(), labels, 3).train[:300]].bincount(minlength=10)
    assert first.min() > 10, "training examples are not sorted by class"


@pytest.mark.parametrize("seed", [0, 1])
def test_an_official_test_set_is_kept_whole_and_as_it_stands(seed: int) -> None:
    definition = DATASETS["mnist"]
    labels = torch.randint(10, (definition.examples,), generator=generator(7, "labels"))
    parts = split(Task(dataset="mnist", validation_fraction=0.1), labels, seed)
    assert torch.equal(parts.test, torch.arange(60_000, 70_000))
    assert (parts.train.numel(), parts.validation.numel()) == (54_000, 6_000)
    assert torch.cat([parts.train, parts.validation]).sort().values.equal(torch.arange(60_000))


@given(
    sizes=st.lists(st.integers(0, 7000), min_size=1, max_size=12).filter(any),
    share=st.floats(0, 1),
)
def test_proportional_is_largest_remainder(sizes: list[int], share: float) -> None:
    total = round(share * sum(sizes))
    shares = proportional(torch.tensor(sizes), total).tolist()
    assert sum(shares) == total
    exact = [total * size / sum(sizes) for size in sizes]
    assert all(abs(got - want) < 1 for got, want in zip(shares, exact, strict=True))
    assert all(got <= size for got, size in zip(shares, sizes, strict=True))
    rounded_up = [want % 1 for got, want in zip(shares, exact, strict=True) if got > want]
    rounded_down = [want % 1 for got, want in zip(shares, exact, strict=True) if got < want]
    if rounded_up and rounded_down:
        assert min(rounded_up) >= max(rounded_down) - 1e-9


def test_a_task_that_leaves_no_training_example_never_reaches_the_split() -> None:
    with pytest.raises(ValidationError, match="leave no training example"):
        Task(validation_fraction=0.6, test_fraction=0.6)
