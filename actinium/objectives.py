"""What networks are trained for: the objectives, one visible table. The functions are in `workers.objectives`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ObjectiveName: TypeAlias = Literal["classification", "regression", "reconstruction"]


@dataclass(frozen=True, kw_only=True)
class ObjectiveDefinition:
    """What `validation_loss`, `test_error` and the like are of an objective.

    `loss` is of one example, and averaged over examples. `error` is in [0, 1], and `validation_accuracy` 1 less it;
    `error_word` is what pages call it. `end_metrics`: what a summary has besides.
    """

    name: ObjectiveName
    loss: str
    error: str
    error_word: str
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
            citation="Bridle 1990",
        ),
        ObjectiveDefinition(
            name="regression",
            loss="mean over outputs of (y - t)^2",
            error=UNEXPLAINED
            + "; where the dataset has a tolerance, the share of examples with some |y - t| > tolerance",
            error_word="unexplained variance",
            citation="share of variance unexplained: Wright 1921; tolerance: Hochreiter & Schmidhuber 1997",
        ),
        ObjectiveDefinition(
            name="reconstruction",
            loss="mean over pixels of (y - t)^2, in units of the scaled inputs",
            error=UNEXPLAINED,
            error_word="unexplained variance",
            citation="share of variance unexplained: Wright 1921; psnr in dB: 10 log10(range^2 / mean squared error)",
            end_metrics=("psnr",),
        ),
    )
}


def error_word(objective: ObjectiveName, tolerance: float | None = None) -> str:
    """What `test_error` is called on pages."""
    return OBJECTIVES[objective].error_word if tolerance is None else f"share of errors over {tolerance:g}"
