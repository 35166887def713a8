"""The sentences over the charts: their figures are the report's, and the cells that they name the right ones."""

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from actinium.objectives import words
from actinium.report import Report, parse_report, report_json
from actinium.statistics.report import build_report
from actinium.study import expand, parse_study
from dashboard.grid import Grid
from dashboard.headlines import NOTHING_YET, convergence, dead_units, headlines, small_batch
from dashboard.words import interval, number, percent, points, probability, whole

SPEC = {
    "name": "sentences",
    "training": {"epochs": 1},
    "factors": {
        "activation": ["relu", "tanh", "leaky_relu"],
        "normalization": ["none", "batch", "group"],
        "training.batch_size": [2, 64],
    },
    "seeds": 4,
    "target": {"value": 1.0},
}


def study(*, finished: bool = True) -> tuple[dict[str, Any], Grid]:
    """A report's JSON, by the statistics over made-up trials: a quarter of ReLU's units dead, fewer with a norm."""
    design = expand(parse_study(SPEC))
    rows, curves = [], []
    for trial, (cell, config) in enumerate(design.trials()):
        plain = config.normalization.name == "none"
        rate = {"relu": 0.25 if plain else 0.05, "tanh": 0.04, "leaky_relu": 0.0}[config.activation.name]
        dead = rate + 0.01 * config.seed if rate else 0.0
        small = config.training.batch_size == 2
        error = 0.10 + 0.01 * config.seed + (0.12 if small and config.normalization.name == "batch" else 0.0)
        last = config.steps()
        first = 8 if config.normalization.name == "group" and config.activation.name == "relu" else 12
        rows.append(
            {
                "trial_id": trial,
                "cell": cell.index,
                "seed": config.seed,
                "state": "succeeded" if finished else "queued",
                "outcome": "converged" if finished else None,
                "steps": last,
                "dead_unit_rate": dead,
                "test_error": error,
            }
        )
        curves += [(trial, step, 0.5 if step >= first else 2.0) for step in (0, 4, 8, 12, last)]
    report = build_report(
        study_id=1,
        revision=1,
        spec=design.spec,
        cells=[(cell.index, cell.cell, cell.config) for cell in design.cells],
        trials=pd.DataFrame(rows),
        curves=pd.DataFrame(curves if finished else [], columns=["trial_id", "step", "value"]),
    )
    document: dict[str, Any] = json.loads(report_json(report))
    return document, Grid.of((entry.cell for entry in report.cells), factors=design.spec.factors)


def read(document: dict[str, Any]) -> Report:
    """The report as a page reads it."""
    return parse_report(json.dumps(document))


def test_the_cell_with_most_dead_units_is_named_against_the_best_activation() -> None:
    report, grid = study()
    answer = dead_units(read(report), grid)
    worst = max(report["cells"], key=lambda entry: entry["metrics"]["dead_unit_rate"]["estimate"])
    own = worst["metrics"]["dead_unit_rate"]
    assert own["estimate"] == pytest.approx(0.265)
    assert answer.figure == "26%"
    assert answer.sentence.startswith("**ReLU without normalization, batch size 2**: 26% of units dead")
    assert f"({interval(own['low'], own['high'], show=percent)})" in answer.sentence
    assert answer.sentence.endswith("against 0% for leaky ReLU.")


def test_no_dead_units_is_an_answer() -> None:
    report, grid = study()
    for entry in report["cells"]:
        entry["metrics"]["dead_unit_rate"] = {"estimate": 0.0, "low": 0.0, "high": 0.75, "n": 4}
    answer = dead_units(read(report), grid)
    assert answer.figure == "0%"
    assert "No cell of 18" in answer.sentence


def test_convergence_is_compared_at_one_batch_size() -> None:
    report, grid = study()
    answer = convergence(read(report), grid)
    assert "reaches evaluation loss 1 in " in answer.sentence
    assert answer.sentence.startswith("**ReLU with GroupNorm, batch size 64** ")
    assert "batch size 2" not in answer.sentence
    assert answer.sentence.endswith("Every trial reaches it.")


def test_a_cell_that_never_arrives_is_not_said_to_take_its_budget() -> None:
    report, grid = study()
    cell = {"activation": "tanh", "normalization": "none", "training.batch_size": 64}
    entry = next(entry for entry in report["cells"] if entry["cell"] == cell)
    entry["metrics"]["epochs_to_target"] = {"estimate": 0.94, "low": 0.9, "high": 0.98, "n": 4}
    assert "tanh without normalization, batch size 64 takes 0.94" in convergence(read(report), grid).sentence
    curve = next(curve for curve in report["convergence"]["curves"] if curve["cell"] == cell)
    curve["reached"]["estimate"] = 0.0
    assert "tanh without normalization, batch size 64 never does in 0.94" in convergence(read(report), grid).sentence


def test_trials_that_never_arrive_are_counted() -> None:
    report, grid = study()
    report["convergence"]["curves"][0]["reached"]["estimate"] = 0.25
    assert "3 of 72 trials never reach it." in convergence(read(report), grid).sentence


def test_degradation_stands_beside_group_normalization() -> None:
    report, _ = study()
    answer = small_batch(read(report))
    assert answer.figure == "+12.0 points"
    assert "At batch size 2, the test error with **BatchNorm** is 12.0 points higher than at 64" in answer.sentence
    assert answer.sentence.endswith("with GroupNorm no higher.")
    named = small_batch(replace(read(report), words=words("regression")))
    assert "the unexplained variance with **BatchNorm** is 12.0 points higher" in named.sentence


def test_a_study_of_one_batch_size_says_so() -> None:
    report, _ = study()
    assert "does not vary the batch size" in small_batch(replace(read(report), small_batch=None)).sentence


def test_before_the_first_trial_nothing_is_claimed() -> None:
    report, grid = study(finished=False)
    assert {answer.sentence for answer in headlines(read(report), grid)} == {NOTHING_YET}


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0%"), (0.0004, "<0.1%"), (0.0312, "3.1%"), (0.0996, "10%"), (0.314, "31%"), (1.0, "100%")],
)
def test_percent(value: float | None, said: str) -> None:
    assert percent(value) == said


def test_numbers_are_written_for_people() -> None:
    assert (number(0.42149), number(1240.4), number(0.00001)) == ("0.421", "1,240", "1.00e-05")
    assert (whole(44.4), whole(3.14), points(-0.0001), points(0.1234)) == ("44", "3.1", "0.0", "+12.3")
    assert (probability(0.0004), probability(0.0625)) == ("<0.001", "0.062")
    assert interval(0.24, 0.38, show=percent) == "95% CI 24–38%"
    assert interval(-1.0, 2.0) == "95% CI -1 to 2"
    assert interval(None, None) == "no CI: fewer than 2 seeds"
