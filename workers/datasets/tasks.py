"""The examples that a task means."""

from pathlib import Path

from actinium.trial import Task
from workers.datasets.arrays import Arrays, load
from workers.datasets.stored import SHELF


def load_task(task: Task, data_root: Path | None = None) -> Arrays:
    """The task's dataset, shared: callers must not write to it. For `data_root` and what is raised, see `load`."""
    return load(task.dataset, data_root) if task.stored is None else SHELF.get(task.stored)
