"""What people's labels mean: classes, however they are counted or called, or numbers to predict.

Legend: N examples, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actinium.datasets.archive import refusal
from actinium.datasets.file import MOST_CLASSES, finite_targets
from actinium.objectives import ObjectiveName

ASK = "say which: --objective classification or --objective regression"
TARGETS = ("targets",)
"""Names that mean numbers to predict, whatever their type."""
LABELS = ("label", "labels", "class")
"""Names that mean classes: fractions under them are a mistake, and are asked about."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What is to be learned: `labels` [N] from 0 with the classes' own names, or `targets` [N].

    `form`: how the classes were written: integers, whole numbers, booleans, words, one-hot. `names` are those of the
    file, in the order of the labels; `shift` is what was taken off labels that are counted from another number than 0.
    """

    labels: NDArray[np.int64]
    targets: NDArray[np.float32] | None = None
    form: str = "integers"
    names: tuple[str, ...] = ()
    shift: int | None = None


def recognized(path: str, name: str, values: NDArray[Any], objective: ObjectiveName | None) -> Learned:
    """What the array means, by its objective if it is given, else by its name and numbers. Refusals stand at `path`."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind in "US":
        if values.ndim > 1:
            raise refusal(path, f"has the shape {values.shape} of words; give one word an example")
        if objective == "regression":
            raise refusal(path, f"holds words such as {_words(path, values[:1])[0]!r}; regression needs numbers")
        return _classes(path, _words(path, values), "words")
    if values.ndim == 2:
        numbers = objective == "regression" or (objective is None and name.lower() in TARGETS)
        return _one_hot(path, values, numbers=numbers)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise refusal(path, f"{values[first]} for example {first}; leave out examples without a label")
    if objective == "regression" or (objective is None and name.lower() in TARGETS):
        return _numbers(path, values)
    whole = values.dtype.kind in "biu" or bool((values == np.floor(values)).all())
    if not whole:
        return _fractions(path, name, values, objective)
    form = {"b": "booleans", "f": "whole numbers"}.get(values.dtype.kind, "integers")
    integers = values.astype(np.int64) if values.dtype.kind in "bf" else values
    found = np.unique(integers)
    if objective is None and 2 * len(found) > len(values):
        raise refusal(path, f"{len(found)} different numbers for {len(values)} examples: classes or numbers? {ASK}")
    return _classes(path, integers, form)


def _numbers(path: str, values: NDArray[Any]) -> Learned:
    return Learned(labels=np.zeros(len(values), dtype=np.int64), targets=finite_targets(path, values))


def _fractions(path: str, name: str, values: NDArray[Any], objective: ObjectiveName | None) -> Learned:
    where = int(np.argmax(values != np.floor(values)))
    if objective == "classification":
        raise refusal(path, f"{values[where]:g} for example {where} is no class; give whole numbers or words")
    if name.lower() in LABELS:
        raise refusal(path, f"{values[where]:g} for example {where} is no class; {ASK}")
    return _numbers(path, values)


def _one_hot(path: str, values: NDArray[Any], *, numbers: bool) -> Learned:
    """Rows with a single 1 and 0 elsewhere."""
    columns = values.shape[1]
    if numbers:
        raise refusal(path, f"{columns} numbers to predict for each example; give one, [N] or [N, 1]")
    proper = ((values == 0) | (values == 1)).all(axis=1) & ((values == 1).sum(axis=1) == 1)
    if not proper.all():
        first = int(np.argmin(proper))
        fault = f"has {columns} columns, and row {first} is not one-hot (a single 1, else 0); give one label an example"
        raise refusal(path, fault)
    labels = values.argmax(axis=1).astype(np.int64)
    missing = np.bincount(labels, minlength=columns) == 0
    if missing.any():
        raise refusal(path, f"no example of class {int(np.argmax(missing))} of {columns}; leave its column out")
    return _checked(path, Learned(labels=labels, form="one-hot"), columns)


def _classes(path: str, values: NDArray[Any], form: str) -> Learned:
    """Classes in the order of their numbers, or of the alphabet."""
    found, labels = np.unique(values, return_inverse=True)
    names, shift = tuple(str(name) for name in found), None
    if form == "words":
        pass
    elif form == "booleans" or (int(found[0]) == 0 and int(found[-1]) == len(found) - 1):
        names = ()
    elif int(found[-1]) - int(found[0]) == len(found) - 1:
        shift = int(found[0])
    learned = Learned(labels=labels.astype(np.int64), form=form, names=names, shift=shift)
    return _checked(path, learned, len(found))


def _checked(path: str, learned: Learned, classes: int) -> Learned:
    if classes < 2:
        only = f"the class {learned.names[0]}" if learned.names else "the class 0"
        raise refusal(path, f"there is only {only}; give at least two classes")
    if classes > MOST_CLASSES:
        raise refusal(path, f"{classes} classes; at most {MOST_CLASSES} are accepted; {ASK}")
    return learned


def _words(path: str, values: NDArray[Any]) -> NDArray[Any]:
    """Words as text, each of which can be printed."""
    try:
        words = np.array([word.decode() if isinstance(word, bytes) else str(word) for word in values.tolist()])
    except (UnicodeDecodeError, ValueError) as error:
        raise refusal(path, f"holds words that are no text ({str(error)[:80]}); give UTF-8") from error
    for number, word in enumerate(words.tolist()):
        if not word.strip() or not word.isprintable():
            raise refusal(path, f"{word[:40]!r} for example {number} is no class; give a word that can be printed")
    return words
