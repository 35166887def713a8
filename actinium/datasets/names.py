"""What a dataset's name means: an entry of the table, or what the service holds under it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from actinium.datasets.table import StoredDataset
from actinium.errors import FieldError, InvalidInput

Find: TypeAlias = Callable[[str], StoredDataset | None]
"""What is held under a name, if anything is."""


def nothing_stored(name: str) -> None:
    """Where nobody adds datasets."""


def with_stored(document: Any, find: Find) -> Any:
    """A study's document with what its task's dataset holds, for a name that is held.

    InvalidInput where the document says itself, and otherwise, what the dataset holds.
    """
    task = document.get("task") if isinstance(document, Mapping) else None
    name = task.get("dataset") if isinstance(task, Mapping) else None
    if not isinstance(task, Mapping):
        return document
    found = find(name) if isinstance(name, str) else None
    known = None if found is None else found.model_dump(mode="json")
    given = task.get("stored")
    if given is not None and given != known:
        fault = "the service fills this in for a dataset that was added to it; leave it out, and give the name"
        raise InvalidInput("the study is not accepted", [FieldError("task.stored", fault)])
    return {**document, "task": {**task, "stored": known}}


def settle(task: Any, find: Find) -> None:
    """Let a cell's task hold what its dataset's name means, whatever it held before."""
    if isinstance(task, dict):
        name = task.get("dataset")
        found = find(name) if isinstance(name, str) else None
        task["stored"] = None if found is None else found.model_dump(mode="json")
