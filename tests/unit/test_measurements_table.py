"""The table of measurements: nothing is measured that is not in it, and the page says what the table says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actinium.frame import OUTCOME_VERSION, LaneFinished, Layout
from actinium.job import TrialId
from actinium.measurements import (
    MEASUREMENTS,
    bounds,
    frames_only,
    is_event,
    metric,
    mixed,
    quantity_of,
    reported,
    versions,
)
from actinium.measurements.page import page
from actinium.probes import DeadUnits, Probes
from actinium.trial import TrialConfig
from db.frames import TrialFrames
from services.sink import wording
from workers.probes.families import FAMILIES
from workers.training.train import pack_layout, train_pack

EVERY_PROBE = {
    name: {} for name in Probes.model_fields if name not in ("schedule", "averaged_examples", "averaged_points")
} | {"distributions": {"of": "both"}}


NETWORKS = {"unit": ("mean over units", "own"), "layer": ("mean over layers", "none")}


def small(**document: Any) -> TrialConfig:
    """A trial of a few steps with every probe on."""
    usual = {
        "task": {"train_examples": 64},
        "training": {"batch_size": 32, "epochs": 2},
        "model": {"kind": "mlp", "depth": 2, "width": 6},
        "probes": {**EVERY_PROBE, "schedule": {"points": 3}},
        "normalization": "batch",
    }
    return TrialConfig.model_validate({**usual, **document})


WILD = {"batch_size": 32, "epochs": 2, "learning_rate": 1e6}
"""A training whose loss is not finite after a step or two."""


def test_every_series_and_every_metric_has_its_definition() -> None:
    names: set[str] = set()
    metrics: set[str] = set()
    mlp: dict[str, Any] = {"kind": "mlp", "depth": 2, "width": 6}
    for model, activation, procedures in (
        (mlp, "relu", ("greedy_autoencoder", "transfer")),
        (mlp, "crelu", ()),
        (mlp, "srelu", ()),
        ({"kind": "cnn", "width": 4}, "relu", ()),
        ({"kind": "autoencoder", "width": 6}, "relu", ()),
        ({"kind": "rnn", "width": 4}, "relu", ()),
    ):
        config = small(model=model, activation=activation)
        names.update(pack_layout(config).series)
        starts = [small(model=model, initialization={"name": name, "epochs": 1}) for name in procedures]
        wild = small(model=model, activation=activation, training=WILD, normalization="none")
        for event in train_pack([config, wild, *starts]):
            if isinstance(event, LaneFinished):
                metrics.update(event.summary.metrics)
    names |= metrics
    unknown = {name for name in names if quantity_of(name) is None}
    assert not unknown, f"{sorted(unknown)} are not in actinium.measurements.MEASUREMENTS"
    assert not any(frames_only(name) for name in metrics)
    measured = {quantity_of(name) for name in names}
    of_trials = {name for name, entry in MEASUREMENTS.items() if entry.family != "report"}
    assert of_trials - measured <= {"revival_hazard", "stationary_dead_rate"}, (
        "the table names nothing that is not measured"
    )
    layered = {quantity_of(name) for name in names if "/" in name}
    assert layered <= {name for name, entry in MEASUREMENTS.items() if entry.by_layer}
    whole = {quantity_of(name) for name in names if "/" not in name}
    assert whole <= {name for name, entry in MEASUREMENTS.items() if entry.by_network}


def test_every_family_of_the_table_is_one_that_measures() -> None:
    besides = {"losses", "design", "procedures", "report"}
    assert {entry.family for entry in MEASUREMENTS.values()} - besides == set(FAMILIES) - {"filters"}
    assert set(FAMILIES) == set(Probes.model_fields) - {"schedule", "averaged_examples", "averaged_points"}
    assert MEASUREMENTS["dormant_rate"].usual == f"{DeadUnits().dormant_tau:g}"


def test_what_reports_list_has_its_order() -> None:
    assert reported() == (
        "validation_loss",
        "validation_accuracy",
        "test_error",
        "train_eval_gap",
        "steps_to_target",
        "epochs_to_target",
        "aulc",
        "dead_unit_rate",
        "born_dead_rate",
        "died_rate",
        "transient_rate",
        "revived_rate",
        "off_rate",
        "dormant_rate_0.025",
        "saturated_rate",
        "gradient_slope",
        "activation_rate",
        "effective_rank",
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "event"),
    [
        ("statistic_mean_error/layer_02", 0.0, None, False),
        ("statistic_variance_error/layer_01", 0.0, None, False),
        ("test_error", 0.0, 1.0, False),
        ("train_eval_gap", -1.0, 1.0, False),
        ("revival_hazard", 0.0, 1.0, True),
        ("zero_share/layer_01", 0.0, 1.0, False),
        ("ics_cosine/layer_03", -1.0, 1.0, False),
        ("gradient_slope", None, None, False),
        ("weight_gradient_share/layer_01", 0.0, None, False),
        ("dormant_rate_0.1", 0.0, 1.0, True),
        ("my_own_error", None, None, False),
        ("dead_unit_rate_like", None, None, False),
    ],
)
def test_bounds_are_the_tables_and_nothing_is_guessed(
    name: str, low: float | None, high: float | None, event: bool
) -> None:
    assert bounds(name) == (low, high)
    assert is_event(name) == event


def test_an_entry_agrees_with_itself() -> None:
    for name, entry in MEASUREMENTS.items():
        assert entry.low is None or entry.high is None or entry.low < entry.high, name
        if entry.kind != "quantity":
            assert entry.unit == "share" and entry.low in (0.0, -1.0) and entry.high == 1.0, name
        assert entry.network == "own" if entry.defined == "network" else entry.network in NETWORKS[entry.defined], name
        assert not (entry.frames_only and entry.summary_only), name
        assert not entry.usual or entry.parameter, name
    assert metric("nobody_knows") is None


def test_the_page_is_the_tables() -> None:
    written = (Path(__file__).parents[2] / "docs/measurements.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m actinium.measurements > docs/measurements.md"


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("dormant_rate_0.025/layer_03", "dormant_rate"),
        ("dormant_rate_1e-05", "dormant_rate"),
        ("dead_unit_rate/layer_01", "dead_unit_rate"),
        ("learned_parameter_left_slope/layer_01", "learned_parameter"),
        ("learned_parameter", "learned_parameter"),
        ("dead_unit_rate_7", None),
        ("dormant_rate_x", None),
        ("nobody_knows", None),
    ],
)
def test_a_name_is_read_without_layer_and_parameter(name: str, quantity: str | None) -> None:
    assert quantity_of(name) == quantity


def test_a_summary_says_which_of_its_numbers_are_of_a_later_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASUREMENTS, "activation_rate", replace(MEASUREMENTS["activation_rate"], version=3))
    assert versions(["activation_rate/layer_01", "test_error", "initial_loss"]) == {
        "activation_rate": 3,
        "test_error": MEASUREMENTS["test_error"].version,
    }
    (summary,) = [event.summary for event in train_pack([small()]) if isinstance(event, LaneFinished)]
    measured = {quantity_of(name) for name in summary.metrics}
    later = {name: entry.version for name, entry in MEASUREMENTS.items() if name in measured and entry.version != 1}
    assert later["activation_rate"] == 3 and "initial_loss" not in later
    looked_for = {name: version for name, version in summary.measurement_versions.items() if name not in later}
    assert summary.measurement_versions == later | looked_for
    assert looked_for.pop("outcome") == OUTCOME_VERSION
    assert looked_for == {name: MEASUREMENTS[name].version for name in looked_for}, "absent here, and not of version 1"


def test_definitions_that_differ_between_trials_are_named() -> None:
    assert mixed([{}, {}]) == {} == mixed([{"srank": 2}])
    assert mixed([{"srank": 2}, {"srank": 3, "off_rate": 2}, {"off_rate": 2}]) == {
        "off_rate": [1, 2],
        "srank": [1, 2, 3],
    }


def test_the_mirror_is_not_told_of_histograms() -> None:
    series = ("train_loss", "activation_histogram_03/layer_01", "activation_mean/layer_01")
    frames = TrialFrames(
        trial_id=TrialId(1),
        attempt=1,
        layout=Layout(series=series),
        steps=np.array([0, 5]),
        times=np.zeros(2, dtype=np.float32),
        values=np.ones((2, 3), dtype=np.float32),
    )
    told = {point.key for point in wording._of_frames(frames, begun=0)}
    assert told == {"train_loss", "activation_mean/layer_01"}
