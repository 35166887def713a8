"""The account of a study sees what is lost, doubled, different and not mirrored."""

from types import SimpleNamespace
from typing import Any

import pytest
from chaos.account import differs, is_doubled, is_mirrored
from mlflow.entities import Run

METRICS = {"test_error": 0.1, "train_loss": 0.25, "pretraining_seconds": 1.0}
SUMMARY = {"outcome": "converged", "steps": 170, "seconds": 2.0, "probe_seconds": 0.1, "pack_width": 8}


def row(**changes: Any) -> dict[str, Any]:
    """A trial as it should be."""
    whole = {
        "state": "succeeded",
        "attempt": 2,
        "summary": {**SUMMARY, "metrics": METRICS},
        "attempts_with_frames": 1,
        "steps": [0, 10, 170],
        "successes": 1,
        "untold": 0,
    }
    return {**whole, **changes}


def summary(metrics: dict[str, float] | None = None, **changes: Any) -> dict[str, Any]:
    """Its summary with something else in it."""
    return {**SUMMARY, **changes, "metrics": METRICS | (metrics or {})}


def run(status: str = "FINISHED", attempt: int = 2, **metrics: float) -> Run:
    """A run of it."""
    tags = {"actinium.attempt": str(attempt), "actinium.outcome": "converged"}
    data = SimpleNamespace(tags=tags, metrics={**METRICS, **metrics})
    return SimpleNamespace(info=SimpleNamespace(status=status), data=data)


@pytest.mark.parametrize("change", [{"successes": 2}, {"attempts_with_frames": 2}, {"untold": 1}])
def test_what_is_there_twice_is_doubled(change: dict[str, int]) -> None:
    assert not is_doubled(row(), [run()])
    assert is_doubled(row(**change), [run()])
    assert is_doubled(row(), [run(), run(status="RUNNING", attempt=1)])


@pytest.mark.parametrize(
    "other",
    [
        {"summary": summary({"test_error": 0.1002})},
        {"summary": summary({"died_rate": 0.0})},
        {"summary": summary(outcome="stalled")},
        {"summary": summary(steps=171)},
        {"steps": [0, 170]},
    ],
)
def test_what_is_not_equal_to_rounding_differs(other: dict[str, Any]) -> None:
    assert differs(row(**other), row()) and differs(row(), row(**other))


def test_the_clock_the_company_and_rounding_make_no_difference() -> None:
    assert not differs(row(), row())
    same = summary({"pretraining_seconds": 3.0, "test_error": 0.1000003}, seconds=9.0, probe_seconds=1.0, pack_width=1)
    assert not differs(row(summary=same, attempt=1), row())


def test_an_output_on_the_other_side_of_zero_is_forgiven_to_activation_rates_alone() -> None:
    for name, forgiven in (("activation_rate", True), ("activation_rate/layer_02", True), ("dead_unit_rate", False)):
        mine, other = (row(summary=summary({name: value})) for value in (0.5, 0.5 + 1 / 7168))
        assert differs(mine, other) is not forgiven


def test_a_run_mirrors_a_trial_when_it_is_finished_and_whole() -> None:
    assert is_mirrored(row(), [run(status="RUNNING", attempt=1), run()])
    for wrong in (run(status="RUNNING"), run(attempt=1), run(train_loss=0.5)):
        assert not is_mirrored(row(), [wrong])
    assert not is_mirrored(row(), []) and not is_mirrored(row(summary=None), [run()])
