"""The examples that a task means in a trial of a seed."""

from pathlib import Path

from actinium.trial import Task
from workers.datasets.arrays import Arrays, load
from workers.datasets.generated import generate
from workers.datasets.stored import SHELF


def differs_by_seed(task: Task) -> bool:
    """Whether trials of different seeds have different examples, and not only different splits of them.

    Generated ones do, and whitened ones, whose directions are those of the training part.
    """
    generated = task.stored is None and task.definition().generated()
    return task.split_seed == "seed" and (generated or task.scaling == "zca")


def load_task(task: Task, data_root: Path | None = None, *, seed: int) -> Arrays:
    """The task's dataset, shared: callers must not write to it. For `data_root` and what is raised, see `load`."""
    if task.stored is not None:
        return SHELF.get(task.stored)
    return generate(task, seed) if task.definition().generated() else load(task.dataset, data_root)
