"""What networks are trained for: the objectives, one visible table. The functions are in `workers.objectives`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from actinium.document import described

ObjectiveName: TypeAlias = Literal["classification", "regression", "reconstruction"]


@dataclass(frozen=True, kw_only=True)
class ObjectiveDefinition:
    """What `validation_loss`, `test_error` and the like are of an objective.

    `loss` is of one example, and averaged over examples, in `loss_unit`. `error` is in [0, 1], and
    `validation_accuracy` 1 less it; `error_word` and `accuracy_word` are what pages call them. `end_metrics`: what a
    summary has besides.
    """

    name: ObjectiveName
    loss: str
    error: str
    error_word: str
    accuracy_word: str
    loss_unit: str
    citation: str
    end_metrics: tuple[str, ...] = ()


UNEXPLAINED = "min(1, sum (y - t)^2 / sum (t - mean t)^2), sums over the examples evaluated and all outputs"

OBJECTIVES: Mapping[ObjectiveName, ObjectiveDefinition] = {
    d.name: d
    for d in (
        ObjectiveDefinition(
            name="classification",
            loss="cross-entropy, -ln softmax(y)_t",
            error="share of examples whose largest output is not the label's",
            error_word="test error",
            accuracy_word="validation accuracy",
            loss_unit="nats",
            citation="Bridle 1990",
        ),
        ObjectiveDefinition(
            name="regression",
            loss="mean over outputs of (y - t)^2",
            error=UNEXPLAINED
            + "; where the dataset has a tolerance, the share of examples with some |y - t| > tolerance",
            error_word="unexplained variance",
            accuracy_word="explained variance",
            loss_unit="squared units",
            citation="share of variance unexplained: Wright 1921; tolerance: Hochreiter & Schmidhuber 1997",
        ),
        ObjectiveDefinition(
            name="reconstruction",
            loss="mean over pixels of (y - t)^2, in units of the scaled inputs",
            error=UNEXPLAINED,
            error_word="unexplained variance",
            accuracy_word="explained variance",
            loss_unit="squared units",
            citation="share of variance unexplained: Wright 1921; psnr in dB: 10 log10(range^2 / mean squared error)",
            end_metrics=("psnr",),
        ),
    )
}


@described
class MetricWords:
    """What the metrics that depend on the objective are called, and the unit of a loss."""

    error: str
    """What `test_error` is called, such as `unexplained variance`."""

    accuracy: str
    """What `validation_accuracy` is called, such as `explained variance`."""

    loss_unit: str
    """The unit of losses: `nats`, `squared units`."""


def words(objective: ObjectiveName, tolerance: float | None = None) -> MetricWords:
    """The words of an objective; `tolerance` is the dataset's."""
    found = OBJECTIVES[objective]
    error, accuracy = found.error_word, found.accuracy_word
    if objective == "regression" and tolerance is not None:
        error, accuracy = f"misses by over {tolerance:g}", f"hits within {tolerance:g}"
    return MetricWords(error=error, accuracy=accuracy, loss_unit=found.loss_unit)


def common_words(found: Iterable[MetricWords]) -> MetricWords:
    """Of trials of several objectives: where they differ, a word that is true of all."""
    every = list(found) or [words("classification")]

    def common(name: Literal["error", "accuracy", "loss_unit"], otherwise: str) -> str:
        told = {getattr(one, name) for one in every}
        return str(told.pop()) if len(told) == 1 else otherwise

    return MetricWords(
        error=common("error", "error"),
        accuracy=common("accuracy", "1 - error"),
        loss_unit=common("loss_unit", "each objective's own"),
    )
