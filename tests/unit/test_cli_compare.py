"""The three comparisons, from a report as the service gives it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from report_made import cell_report, interval, report_of

from actinium.objectives import words
from actinium.report import (
    Contrast,
    ContrastFamily,
    DegradationCurve,
    DegradationPoint,
    DifferenceInDifferences,
    Report,
    ResolvedTarget,
    SmallBatch,
    SurvivalCurve,
)
from actinium.terminal import output as terminal
from actinium.terminal.compare import (
    comparisons,
    convergence,
    dead_units,
    errors,
    goal,
    mixed_measurements,
    small_batches,
)

LONG: dict[str, Any] = {
    "activation": {"name": "leaky_relu", "negative_slope": 0.25},
    "normalization": {"name": "group", "groups": 8},
    "initialization": {"name": "normal", "std": 0.0125},
    "training.batch_size": 32,
    "model.depth": 10,
}
SHORT: dict[str, Any] = {
    "activation": "relu",
    "normalization": "none",
    "initialization": "he",
    "training.batch_size": 2,
    "model.depth": 3,
}


@pytest.fixture
def report() -> Report:
    """Two cells, one of them with nothing measured yet."""
    measured = {
        "dead_unit_rate": interval(0.312, 0.24, 0.381),
        "born_dead_rate": interval(0.0, 0.0, 0.3),
        "died_rate": interval(0.3, None, None, 1),
        "epochs_to_target": interval(1.234, 1.006, 1.502),
        "test_error": interval(0.2, 0.1, 0.6),
    }
    points = (
        DegradationPoint(batch_size=32, error=interval(0.05), degradation=interval(0.0), collapsed=0),
        DegradationPoint(
            batch_size=2, error=interval(0.3, 0.2, 0.4, 8), degradation=interval(0.25, 0.15, 0.35), collapsed=2
        ),
    )
    against = DifferenceInDifferences(
        normalization="batch",
        activation="relu",
        reference="group",
        batch_size=2,
        estimate=0.2,
        low=0.1,
        high=0.3,
        n=10,
        p=0.01,
        collapsed=0,
    )
    learned = {"test_error": interval(0.12, 0.1, 0.14, 9)}
    return report_of(
        [
            cell_report(SHORT, {}, collapse_rate=interval(None, n=0)),
            cell_report(LONG, measured, collapse_rate=interval(0.1, 0.02, 0.4), learned=learned),
        ],
        reached=[
            SurvivalCurve(
                cell=LONG,
                epochs=(0.0,),
                steps=(0.0,),
                survival=(1.0,),
                budget=200.0,
                budget_epochs=2.0,
                median_epochs=None,
                reached=interval(0.9, 0.6, 0.98),
            )
        ],
        small_batch=SmallBatch(
            metric="test_error",
            reference_batch=32,
            estimand="fixed",
            area_batches=(2, 32),
            left_out=(),
            by_activation=(),
            curves=(DegradationCurve(normalization="batch", activation=None, points=points, area=interval(1.0)),),
            difference_in_differences=(against,),
        ),
    )


def test_dead_units_are_shown_in_percent_worst_first(report: Report) -> None:
    """What is not measured is a dash; an estimate without interval stands alone."""
    rows = dead_units(report).rows
    assert rows[0][1:] == ("31.2% [24.0, 38.1]", "0.0% [0.0, 30.0]", "30.0%", "10")
    assert rows[1][1:] == ("-", "-", "-", "0")


def test_convergence_shows_epochs_share_and_collapse(report: Report) -> None:
    """Fastest first; cells that have not finished last."""
    rows = convergence(report).rows
    assert rows[0][1:] == ("1.23 [1.01, 1.50]", "90.0% [60.0, 98.0]", "10.0% [2.0, 40.0]", "10")
    assert rows[1][1:] == ("-", "-", "-", "0")


def test_errors_are_those_of_all_and_of_the_networks_that_learned(report: Report) -> None:
    rows = errors(report).rows
    assert rows[0][1:] == ("20.0% [10.0, 60.0]", "12.0% [10.0, 14.0]", "10.0% [2.0, 40.0]", "10")
    assert rows[1][1:] == ("-", "-", "-", "0")


def test_questions_are_said_in_points_and_ratios_with_the_seeds_that_they_need(report: Report) -> None:
    asked = Contrast(
        metric="dead_unit_rate",
        scale="difference",
        cell={"activation": "relu", "training.batch_size": 2},
        reference={"activation": "elu", "training.batch_size": 2},
        settings=1,
        difference=0.415,
        low=0.39,
        high=0.44,
        n=6,
        p=0.03125,
        p_holm=0.0625,
        confirmatory=True,
        diverged=0,
        collapsed=1,
        without_diverged=None,
        learned=None,
    )
    times = replace(asked, metric="epochs_to_target", scale="log_ratio", difference=0.0, low=-0.693147, high=0.693147)
    family = ContrastFamily(metrics=(), named=True, tests=2, seeds=6, smallest_p=0.0625, seeds_needed=7)
    table = comparisons(replace(report, questions=(asked, times), families=(family,)))[0]
    assert table.rows == (
        ("dead_unit_rate: relu - elu at batch_size=2", "+41.5 [+39.0, +44.0]", "0.0625", "6", "1"),
        ("epochs_to_target: relu - elu at batch_size=2", "1.00x [0.50, 2.00]", "0.0625", "6", "1"),
    )
    assert "6 seeds cannot answer them; 7 can" in table.note


def test_the_target_says_where_it_comes_from_and_since_when_it_stands() -> None:
    moment = datetime(2026, 11, 27, 4, 5, tzinfo=UTC)
    target = ResolvedTarget(
        metric="validation_loss", value=0.5, source="computed", cell={}, n=3, seeds=(0, 1, 2), frozen_at=moment
    )
    assert "computed: median of 3 trials" in goal(target) and "frozen 2026-11-27 04:05 UTC" in goal(target)
    assert goal(replace(target, source="study")) == "evaluation loss 0.5"
    assert "when three trials" in goal(replace(target, value=None))


def test_small_batches_ascend_and_carry_the_difference_to_group(report: Report) -> None:
    """Percentage points with sign."""
    table, beyond = small_batches(report)
    assert table.rows == (
        ("batch", "2", "30.0% [20.0, 40.0]", "+25.0 [+15.0, +35.0]", "8"),
        ("batch", "32", "5.0%", "+0.0", "10"),
    )
    assert beyond.rows == (("relu", "batch", "2", "+20.0 [+10.0, +30.0]", "10", "0"),)
    assert "no factor" in small_batches(replace(report, small_batch=None))[0].note
    assert table.columns[2] == "test error"
    named = small_batches(replace(report, words=words("regression")))[0]
    assert named.columns[2] == "unexplained variance" and "Degradation: unexplained variance less" in named.note


def test_wide_cells_stay_readable_at_100_columns(
    report: Report, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider, no figure is broken, and no word of a cell is lost."""
    monkeypatch.setenv("COLUMNS", "100")
    for table in comparisons(report):
        terminal.show_table(table.columns, table.rows, title=table.title, numbers=table.numbers)
        shown = capsys.readouterr().out
        assert max(len(line) for line in shown.splitlines()) <= 100
        for row in table.rows:
            for figure in row[1:]:
                assert figure in shown
            for word in row[0].replace("·", " ").split():
                assert word in shown


def test_markup_in_names_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A name such as [red] is a name."""
    terminal.show_table(("name",), [("[red]x[/red]",)])
    assert "[red]x[/red]" in capsys.readouterr().out


def test_measurements_of_several_versions_are_a_warning(report: Report) -> None:
    """A sentence names the quantity and its versions; without any there is none."""
    assert mixed_measurements(report) is None
    said = mixed_measurements(replace(report, mixed_measurements={"effective_rank": (1, 2)}))
    assert said is not None and "effective_rank: versions 1, 2" in said
