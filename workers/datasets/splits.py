"""Training, validation and test examples: stratified, disjoint, of sizes that do not depend on the seed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from actinium.trial import Task
from workers.seeding import generator

STREAM = "split"


@dataclass(frozen=True, kw_only=True)
class Split:
    """Positions in the dataset, int64. `train` is in random order, so that any first part of it is a fair sample."""

    train: Tensor
    validation: Tensor
    test: Tensor


def split(task: Task, labels: Tensor, seed: int) -> Split:
    """The task's split for a trial's `seed`; with a numeric `task.split_seed`, the same for every seed.

    Sizes are `task.counts()`, with `task.train_count()` training examples. Each part has every class in proportion,
    by largest remainder. A validation and a test part that the dataset has of its own (its last examples) are taken as
    they stand; where there are none, they are drawn. One random order of the other examples decides everything: within
    a class the first ones go to test, the next to validation, then to training, so that `train_examples` leaves
    validation and test as they are.
    """
    definition = task.definition()
    _, validation_count, test_count = task.counts()
    tested = labels.numel() - definition.official_test
    drawn = tested - definition.official_validation
    rest = torch.randperm(drawn, generator=generator(task.drawing_seed(seed), STREAM))
    if definition.official_test:
        test = torch.arange(tested, labels.numel())
    else:
        test, rest = _take(rest, labels, test_count)
    if definition.official_validation:
        validation = torch.arange(drawn, tested)
    else:
        validation, rest = _take(rest, labels, validation_count)
    train, _ = _take(rest, labels, task.train_count())
    return Split(train=train, validation=validation, test=test)


def proportional(sizes: Tensor, total: int) -> Tensor:
    """`total` shared among classes of `sizes` [K] by largest remainder; ties go to the lower class. int64 [K]."""
    scaled = sizes * total
    shares = scaled // sizes.sum()
    remainders = scaled % sizes.sum()
    largest = torch.sort(remainders, descending=True, stable=True).indices[: total - int(shares.sum())]
    shares[largest] += 1
    return shares


def _take(order: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`count` examples from the front of each class of `order`, and what is left; both keep the order."""
    classes = labels[order]
    wanted = proportional(torch.bincount(classes), count)
    rank = torch.empty_like(order)
    for label, _ in enumerate(wanted):
        members = classes == label
        rank[members] = torch.arange(int(members.sum()))
    taken = rank < wanted[classes]
    return order[taken], order[~taken]
