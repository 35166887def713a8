"""What pages call metrics: the table's labels and units, and an objective's own words."""

from types import SimpleNamespace

import pytest

from actinium.measurements import MEASUREMENTS
from actinium.measurements.definition import event
from actinium.objectives import words
from dashboard.views import dead_units
from dashboard.views.page import StudyView
from dashboard.words import axis_title, is_share, metric_word

CLASSES, NUMBERS = words("classification"), words("regression")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("validation_loss", "validation loss (nats)"),
        ("dead_unit_rate/layer_02", "gradient-dead units (%)"),
        ("dormant_rate_0.1", "dormant units (0.1) (%)"),
        ("effective_rank", "effective rank"),
        ("nobody_knows", "nobody knows"),
    ],
)
def test_a_title_is_the_tables_label_with_its_unit(name: str, title: str) -> None:
    assert axis_title(name, CLASSES) == title


def test_a_loss_and_an_error_are_what_the_objective_calls_them() -> None:
    """Squared units are not nats."""
    assert axis_title("validation_loss", NUMBERS) == "validation loss (squared units)"
    assert metric_word("test_error", NUMBERS) == "unexplained variance"
    assert axis_title("validation_accuracy", NUMBERS) == "explained variance (%)"
    assert metric_word("test_error") == "test error"


def test_percent_is_for_shares() -> None:
    assert is_share("train_eval_gap") and is_share("saturated_rate/layer_01")
    assert not is_share("statistic_mean_error/layer_01") and not is_share("my_own_rate")


class View:
    """The view of a study whose epsilon was set."""

    def __init__(self, *factors: str, epsilon: float) -> None:
        self.study = {"spec": {"probes": {"dead_units": {"epsilon": epsilon}}}}
        metrics = {"dead_unit_rate": None, "off_half_rate": None}
        self.report = SimpleNamespace(cells=[SimpleNamespace(metrics=metrics)])
        self.grid = SimpleNamespace(levels=dict.fromkeys(factors))


def test_dead_units_say_the_threshold_that_the_study_has(monkeypatch: pytest.MonkeyPatch) -> None:
    view: StudyView = View("activation", epsilon=0.25)  # type: ignore[assignment]
    assert dead_units._definition(view, "dead_unit_rate").endswith("networks as they are trained; epsilon is 0.25.")
    several: StudyView = View("probes.dead_units.epsilon", epsilon=0.25)  # type: ignore[assignment]
    assert "0.25" not in dead_units._definition(several, "dead_unit_rate")
    assert dead_units._rates(view) == ["dead_unit_rate", "off_rate", "saturated_rate", "off_half_rate"]
    assert dead_units._fates()[:3] == ["dead_unit_rate", "born_dead_rate", "died_rate"]
    monkeypatch.setitem(
        MEASUREMENTS, "slept_rate", event("units that slept", "", family="dead_units", summary_only=True)
    )
    assert dead_units._fates()[-1] == "slept_rate"
