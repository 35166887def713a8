"""The report as a whole: its form, its figures against SciPy and pandas, and studies that are only half there."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from actinium.measurements import reported
from actinium.objectives import words
from actinium.report import parse_report, report_json
from actinium.statistics.convergence import Pilot
from actinium.statistics.means import metric_contrast
from actinium.statistics.rates import rate_interval
from actinium.statistics.report import build_report
from actinium.study import Design, expand, parse_study

LAYER = "dead_unit_rate/layer_01"


class Study:
    """A study whose trials measured what `measure` says, deterministic noise added."""

    def __init__(self, **document: Any) -> None:
        self.design: Design = expand(parse_study({"name": "s", "training": {"epochs": 4}, **document}))
        rng = np.random.default_rng(len(self.design.cells))
        rows, curves = [], []
        for number, (cell, config) in enumerate(self.design.trials(), start=1):
            noise = rng.normal(size=4)
            normalization, batch = config.normalization.name, config.training.batch_size
            small = {"batch": 1.6, "group": 0.2}.get(normalization, 0.5) / batch
            rows.append(
                {
                    "trial_id": number,
                    "cell": cell.index,
                    "seed": config.seed,
                    "state": "succeeded",
                    "outcome": "converged",
                    "steps": config.steps(),
                    "test_error": float(np.clip(0.1 + 0.3 * small + 0.02 * noise[0], 0, 1)),
                    "validation_loss": 0.5 + 0.1 * noise[1],
                    "dead_unit_rate": 0.0 if config.activation.name == "elu" else 0.3 + 0.05 * noise[2],
                    LAYER: 0.1 + 0.01 * noise[2],
                    "unknown_measurement": noise[3],
                }
            )
            speed = {"relu": 4.0, "elu": 8.0}.get(config.activation.name, 2.0)
            for step in np.linspace(0, config.steps(), 9).astype(int):
                loss = 2.3 * np.exp(-speed * step / config.steps()) + 0.02 * abs(noise[3])
                curves.append({"trial_id": number, "step": int(step), "value": loss})
        self.trials, self.curves = pd.DataFrame(rows), pd.DataFrame(curves)

    def report(
        self,
        trials: pd.DataFrame | None = None,
        curves: pd.DataFrame | None = None,
        listed: range | None = None,
        pilots: Sequence[Pilot] | None = None,
    ) -> dict[str, Any]:
        """The report's JSON, read back; what is read into the structure again is the report that was written."""
        made = build_report(
            study_id=7,
            revision=3,
            spec=self.design.spec,
            cells=[(c.index, c.cell, c.config) for c in self.design.cells],
            trials=self.trials if trials is None else trials,
            curves=self.curves if curves is None else curves,
            listed=listed,
            pilots=pilots,
        )
        content = report_json(made)
        assert parse_report(content) == made
        report: dict[str, Any] = json.loads(content)
        return report

    def of(self, seed: int | None = None, **cell: Any) -> pd.Series:
        """Which rows belong to the cells with these levels (dots in paths as `__`)."""
        wanted = {path.replace("__", "."): value for path, value in cell.items()}
        cells = [c.index for c in self.design.cells if all(c.cell.get(p) == v for p, v in wanted.items())]
        return self.trials["cell"].isin(cells) & (True if seed is None else self.trials["seed"] == seed)


@pytest.fixture(scope="module")
def small() -> Study:
    return Study(
        factors={
            "activation": ["relu", "elu"],
            "normalization": ["none", "batch", "group"],
            "training.batch_size": [2, 8, 32],
        },
        seeds=5,
    )


def cell_of(report: dict[str, Any], **levels: Any) -> dict[str, Any]:
    wanted = {path.replace("__", "."): value for path, value in levels.items()}
    (found,) = (c for c in report["cells"] if c["cell"] == wanted)
    return found  # type: ignore[no-any-return]


def test_the_form_is_the_documented_one(small: Study) -> None:
    report = small.report()
    assert list(report) == [
        "study_id",
        "revision",
        "words",
        "target",
        "cells",
        "questions",
        "families",
        "contrasts",
        "factors",
        "small_batch",
        "convergence",
        "layers",
        "mixed_measurements",
        "total_cells",
        "next_cells_from",
    ]
    assert (report["study_id"], report["revision"]) == (7, 3)
    assert report["words"] == {"error": "test error", "accuracy": "validation accuracy", "loss_unit": "nats"}
    cell = report["cells"][0]
    assert list(cell) == ["cell", "seeds", "succeeded", "diverged", "collapse_rate", "metrics", "learned", "reused"]
    estimate = ["estimate", "low", "high", "n"]
    assert list(cell["collapse_rate"]) == estimate
    assert set(reported()) | {LAYER, "unknown_measurement"} == set(cell["metrics"])
    assert all(list(record)[:4] == estimate for record in cell["metrics"].values())
    assert {"metric", "cell", "reference", "difference", "low", "high", "p", "p_holm", "n"} <= set(
        report["contrasts"][0]
    )
    assert {"factor", "metric", "omega_squared", "low", "high"} <= set(report["factors"][0])
    batch = report["small_batch"]
    assert (batch["reference_batch"], batch["estimand"]) == (32, "fixed")
    assert list(batch["curves"][0]) == ["normalization", "activation", "points", "area"]
    assert list(batch["curves"][0]["points"][0]) == ["batch_size", "error", "degradation", "collapsed"]
    assert {"cell", "epochs", "steps", "survival"} <= set(report["convergence"]["curves"][0])


def test_a_page_lists_some_cells_of_the_same_report(small: Study) -> None:
    """Each figure is that of the whole study: Holm's family, target and factor effects with it."""
    whole = small.report()
    assert whole["total_cells"] == 18 and whole["next_cells_from"] is None
    pages = [small.report(listed=range(first, min(first + 7, 18))) for first in (0, 7, 14)]
    assert [page["next_cells_from"] for page in pages] == [7, 14, None]
    assert [len(page["cells"]) for page in pages] == [7, 7, 4]
    assert [cell for page in pages for cell in page["cells"]] == whole["cells"]
    assert [curve for page in pages for curve in page["convergence"]["curves"]] == whole["convergence"]["curves"]
    by_metric = sorted((row for page in pages for row in page["contrasts"]), key=json.dumps)
    assert by_metric == sorted(whole["contrasts"], key=json.dumps)
    rest = {"cells", "contrasts", "convergence", "next_cells_from"}
    assert all(page[name] == whole[name] for page in pages for name in whole.keys() - rest)
    assert small.report(listed=range(18, 18))["cells"] == []


def test_a_newer_report_is_read_by_an_older_client(small: Study) -> None:
    """Fields that it does not know are ignored wherever they stand; one that is missing is refused by its place."""
    known = small.report()

    def newer(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: newer(value) for key, value in node.items()} | {"a_newer_field": [1]}
        return [newer(child) for child in node] if isinstance(node, list) else node

    document = {**known, "target": newer(known["target"] | {"cell": None}), "small_batch": newer(known["small_batch"])}
    document["contrasts"] = [{**row, "a_newer_field": {}} for row in known["contrasts"]]
    read = parse_report(json.dumps({**document, "a_newer_field": None}))
    expected = parse_report(json.dumps({**known, "target": known["target"] | {"cell": None}}))
    assert (read.target, read.small_batch, read.contrasts) == (
        expected.target,
        expected.small_batch,
        expected.contrasts,
    )
    del document["cells"][3]["collapse_rate"]
    with pytest.raises(ValidationError, match=r"cells\.3\.collapse_rate"):
        parse_report(json.dumps(document))


def test_a_cells_figures_are_means_over_its_seeds_with_the_interval_of_their_kind(small: Study) -> None:
    report = small.report()
    for entry, cell in zip(report["cells"], small.design.cells, strict=True):
        values = small.trials.loc[small.trials["cell"] == cell.index, LAYER].to_numpy()
        expected = rate_interval(values)
        record = entry["metrics"][LAYER]
        assert (record["estimate"], record["n"]) == (pytest.approx(values.mean()), 5)
        assert (record["low"], record["high"]) == pytest.approx((float(expected.low), float(expected.high)))
        assert (entry["seeds"], entry["succeeded"], entry["diverged"]) == (5, 5, 0)
        losses = small.trials.loc[small.trials["cell"] == cell.index, "validation_loss"]
        student = stats.ttest_1samp(losses, 0.0).confidence_interval(0.95)
        record = entry["metrics"]["validation_loss"]
        assert (record["low"], record["high"]) == pytest.approx((student.low, student.high))


def test_a_dead_rate_of_zero_everywhere_has_its_bound_beside_it(small: Study) -> None:
    record = cell_of(small.report(), activation="elu", normalization="none", training__batch_size=8)["metrics"]
    assert record["dead_unit_rate"] == {
        "estimate": 0.0,
        "low": 0.0,
        "high": 0.6,
        "n": 5,
        "zero_event_bound": 0.6,
    }
    assert "zero_event_bound" not in record[LAYER]


def test_contrasts_are_paired_with_the_reference_levels_at_equal_other_factors(small: Study) -> None:
    report = small.report()
    rows = [c for c in report["contrasts"] if c["metric"] == "test_error"]
    assert len(rows) == 18 - 3
    for row in rows:
        batch = row["cell"]["training.batch_size"]
        assert row["reference"] == {"activation": "relu", "normalization": "none", "training.batch_size": batch}
        treated, reference = (
            small.trials[small.of(**{p.replace(".", "__"): v for p, v in row[side].items()})].sort_values("seed")
            for side in ("cell", "reference")
        )
        pair = [side["test_error"].to_numpy()[None] for side in (treated, reference)]
        own = metric_contrast("test_error", *pair).intervals()[0]
        assert (row["difference"], row["low"], row["high"], row["n"]) == pytest.approx(
            (treated["test_error"].mean() - reference["test_error"].mean(), own.low, own.high, 5)
        )
        interval = stats.ttest_rel(*(side[0] for side in pair)).confidence_interval(0.95)
        assert (row["low"], row["high"]) == pytest.approx(
            (interval.low, interval.high), abs=0.15 * (own.high - own.low)
        )
        assert row["p"] in [pytest.approx(k / 16) for k in range(1, 17)]
        assert row["p_holm"] >= row["p"]
        assert row["confirmatory"]


def test_without_questions_each_headline_metric_is_a_family() -> None:
    study = Study(factors={"activation": ["relu", "elu", "tanh"]}, seeds=6)
    study.trials["validation_accuracy"] = 0.9 + 0.01 * study.trials["seed"]
    rows = study.report()["contrasts"]
    family = [row for row in rows if row["confirmatory"]]
    headlines = ["dead_unit_rate", "epochs_to_target", "test_error"]
    assert [row["metric"] for row in family] == [metric for metric in headlines for _ in range(2)]
    for metric in headlines:
        p = sorted((row["p"], row["p_holm"]) for row in family if row["metric"] == metric)
        assert p[0][1] == pytest.approx(min(1.0, 2 * p[0][0]))
    assert [(row["metric"], row["p_holm"]) for row in rows if not row["confirmatory"]] == [
        ("validation_accuracy", None),
        ("validation_accuracy", None),
    ]
    families = study.report()["families"]
    assert [(one["metrics"], one["tests"], one["named"]) for one in families] == [([m], 2, False) for m in headlines]
    assert {(one["seeds"], one["seeds_needed"], one["smallest_p"]) for one in families} == {(6, 7, 0.0625)}


def test_the_target_is_the_median_of_the_reference_cells_first_three_at_half_its_budget(small: Study) -> None:
    report = small.report()
    chosen = small.trials[small.of(activation="relu", normalization="none", training__batch_size=32)]
    chosen = chosen[chosen["seed"] < 3]
    losses = []
    for trial, steps in zip(chosen["trial_id"], chosen["steps"], strict=True):
        curve = small.curves[(small.curves["trial_id"] == trial) & (small.curves["step"] <= steps / 2)]
        losses.append(curve.sort_values("step")["value"].iloc[-1])
    target = report["target"]
    assert target == {
        "metric": "validation_loss",
        "value": pytest.approx(np.median(losses)),
        "source": "computed",
        "cell": {"activation": "relu", "normalization": "none", "training.batch_size": 32},
        "n": 3,
        "seeds": [0, 1, 2],
        "frozen_at": None,
    }
    assert report["convergence"]["target"] == target["value"]


def test_a_computed_target_stands_once_three_trials_of_the_reference_cell_have_succeeded(small: Study) -> None:
    """Whatever comes later; and it says of which three it was, and when the last of them was done."""
    own = small.trials[small.of(activation="relu", normalization="none", training__batch_size=32)]
    trial = dict(zip(own["seed"], own["trial_id"], strict=True))
    pilots = [Pilot(trial_id=trial[seed], finished=datetime(2026, 11, 27, seed, tzinfo=UTC)) for seed in (3, 1, 4)]
    found = []
    for seeds in ([3], [3, 1], [3, 1, 4], [3, 1, 4, 0], [3, 1, 4, 0, 2]):
        some = small.trials[small.trials["seed"].isin(seeds)]
        found.append(small.report(some, pilots=pilots[: len(seeds)])["target"])
    assert [target["value"] for target in found[:2]] == [None, None]
    assert found[2] == found[3] == found[4]
    assert found[2]["seeds"] == [3, 1, 4]
    assert found[2]["frozen_at"] == "2026-11-27T04:00:00Z"


def test_the_mean_time_to_target_is_the_area_under_the_survival_curve(small: Study) -> None:
    report = small.report()
    for entry, curve in zip(report["cells"], report["convergence"]["curves"], strict=True):
        area = sum(
            share * (later - step)
            for step, later, share in zip(
                curve["epochs"][:-1], curve["epochs"][1:], curve["survival"][:-1], strict=True
            )
        )
        record = entry["metrics"]["epochs_to_target"]
        assert curve["cell"] == entry["cell"]
        assert record["estimate"] == pytest.approx(area)
        assert record["low"] < record["estimate"] < record["high"] <= curve["budget_epochs"] == curve["epochs"][-1] == 4
        steps = entry["metrics"]["steps_to_target"]["estimate"]
        assert steps == pytest.approx(record["estimate"] * curve["budget"] / 4)
        assert curve["steps"] == pytest.approx([epoch * curve["budget"] / 4 for epoch in curve["epochs"]])


def test_equal_curves_in_epochs_are_equal_whatever_the_batch_size() -> None:
    """Counted in steps the smaller batch would look four times as slow."""
    study = Study(factors={"training.batch_size": [8, 32]}, seeds=6, target={"value": 0.4})
    report = study.report()
    (row,) = (row for row in report["contrasts"] if row["metric"] == "epochs_to_target")
    assert row["difference"] == pytest.approx(0.0, abs=0.03)
    assert row["low"] < 0.0 < row["high"]
    (effect,) = (effect for effect in report["factors"] if effect["metric"] == "epochs_to_target")
    assert effect["omega_squared"] < 0.3
    assert not [row for row in report["contrasts"] if row["metric"] == "steps_to_target"]


def test_convergence_is_compared_by_the_log_ratio_of_restricted_means(small: Study) -> None:
    report = small.report()
    for row in (c for c in report["contrasts"] if c["metric"] == "epochs_to_target"):
        times = [
            next(c for c in report["cells"] if c["cell"] == row[side])["metrics"]["epochs_to_target"]["estimate"]
            for side in ("cell", "reference")
        ]
        assert row["scale"] == "log_ratio"
        assert row["difference"] == pytest.approx(np.log(times[0] / times[1]))
        if row["cell"]["activation"] == "elu":
            assert row["high"] < 0, "twice as fast by construction"


def test_a_fixed_target_is_used_as_it_stands() -> None:
    report = Study(seeds=2, target={"value": 0.4}).report()
    given = {"metric": "validation_loss", "value": 0.4, "source": "study", "cell": None, "n": 0}
    assert report["target"] == given | {"seeds": [], "frozen_at": None}


def test_small_batches_average_other_factors_within_the_seed(small: Study) -> None:
    batch = small.report()["small_batch"]
    table = small.trials.assign(
        **{p: [small.design.cells[i].cell[p] for i in small.trials["cell"]] for p in small.design.cells[0].cell}
    )
    error = table.groupby(["normalization", "training.batch_size", "seed"])["test_error"].mean().unstack("seed")
    assert [curve["normalization"] for curve in batch["curves"]] == ["none", "batch", "group"]
    worse = {}
    for curve in batch["curves"]:
        name = curve["normalization"]
        assert [point["batch_size"] for point in curve["points"]] == [2, 8, 32]
        for point in curve["points"]:
            size = point["batch_size"]
            worse[name, size] = (error.loc[(name, size)] - error.loc[(name, 32)]).to_numpy()
            assert point["error"]["estimate"] == pytest.approx(error.loc[(name, size)].mean())
            assert point["degradation"]["estimate"] == pytest.approx(worse[name, size].mean())
        assert point["degradation"] == {"estimate": 0.0, "low": None, "high": None, "n": 5}, "the reference itself"
        area = 2 * (worse[name, 2] + worse[name, 8]) / 2 + 2 * worse[name, 8] / 2
        assert curve["area"]["estimate"] == pytest.approx(area.mean())
    assert batch["area_batches"] == [2, 8, 32]
    rows = batch["difference_in_differences"]
    own = table.set_index(["activation", "normalization", "training.batch_size", "seed"])["test_error"].unstack("seed")
    assert [(r["activation"], r["normalization"], r["batch_size"]) for r in rows] == [
        (activation, normalization, size)
        for activation in ("relu", "elu")
        for normalization in ("none", "batch")
        for size in (2, 8)
    ]
    for row in rows:
        change = {
            name: (
                own.loc[row["activation"], name, row["batch_size"]] - own.loc[row["activation"], name, 32]
            ).to_numpy()
            for name in (row["normalization"], "group")
        }
        pairs = change[row["normalization"]] - change["group"]
        interval = stats.ttest_1samp(pairs, 0.0).confidence_interval(0.95)
        assert (row["estimate"], row["low"], row["high"]) == pytest.approx((pairs.mean(), interval.low, interval.high))
        assert row["reference"] == "group"


def test_small_batch_is_null_where_the_batch_size_does_not_vary() -> None:
    assert Study(factors={"activation": ["relu", "elu"]}, seeds=2).report()["small_batch"] is None


def test_the_estimand_is_named_by_the_learning_rate_rule() -> None:
    linear = {"epochs": 4, "learning_rate_rule": "linear", "reference_batch_size": 32}
    factors: dict[str, Any] = {"training.batch_size": [2, 32], "normalization": ["batch", "group"]}
    assert Study(factors=factors, training=linear, seeds=2).report()["small_batch"]["estimand"] == "linear"
    factors["training.learning_rate_rule"] = ["fixed", "linear"]
    assert Study(factors=factors, seeds=2).report()["small_batch"]["estimand"] == "mixed"


def test_degradation_compares_the_settings_that_all_normalizations_have() -> None:
    study = Study(
        factors={
            "activation": ["relu", "elu", "prelu"],
            "normalization": ["none", "batch", "group"],
            "training.batch_size": [1, 2, 32],
        },
        exclude=[{"activation": "prelu", "normalization": "batch", "training.batch_size": 32}],
        include=[{"activation": "tanh", "normalization": "layer", "training.batch_size": 32}],
        seeds=3,
    )
    study.trials.loc[study.of(activation="prelu"), "test_error"] = 0.9
    batch = study.report()["small_batch"]
    curves = {c["normalization"]: c["points"] for c in batch["curves"]}
    assert batch["area_batches"] == [2, 32], "all areas go over what every normalization has"
    assert [c["area"]["n"] for c in batch["curves"]] == [3, 3, 3]
    assert list(curves) == ["none", "batch", "group"], "included cells stand outside the grid"
    assert [p["batch_size"] for p in curves["batch"]] == [2, 32], "a batch of one is structurally invalid"
    assert [p["batch_size"] for p in curves["none"]] == [1, 2, 32]
    for points in curves.values():
        for point in points:
            assert point["error"]["estimate"] < 0.35, "prelu is not averaged in anywhere"


@pytest.mark.parametrize("columns", [True, False])
def test_a_study_without_a_finished_trial_is_complete_in_form(small: Study, columns: bool) -> None:
    trials = small.trials.iloc[:0] if columns else pd.DataFrame()
    curves = small.curves.iloc[:0] if columns else pd.DataFrame()
    report = small.report(trials, curves)
    assert len(report["cells"]) == 18
    nothing = {"estimate": None, "low": None, "high": None, "n": 0}
    assert set(report["cells"][0]["metrics"]) == set(reported())
    assert all(record == nothing for record in report["cells"][0]["metrics"].values())
    assert report["cells"][0]["collapse_rate"] == nothing
    assert report["target"]["value"] is None
    assert report["convergence"]["curves"] == []
    assert report["factors"] == []
    assert {row["p"] for row in report["contrasts"]} == {None}
    assert report["small_batch"]["curves"][0]["points"][0]["error"] == nothing


def test_queued_and_failed_trials_are_no_measurement(small: Study) -> None:
    trials = small.trials.copy()
    later = trials["seed"] > 0
    trials.loc[later, "state"] = np.where(trials.loc[later, "seed"] % 2, "queued", "failed")
    trials["outcome"] = trials["outcome"].where(~later, None)
    measured = trials.columns.difference(["trial_id", "cell", "seed", "state", "outcome", "steps"])
    trials.loc[later, measured] = np.nan
    report = small.report(trials, small.curves[small.curves["trial_id"].isin(trials.loc[~later, "trial_id"])])
    cell = report["cells"][0]
    assert (cell["seeds"], cell["succeeded"]) == (5, 1)
    record = cell["metrics"]["test_error"]
    assert (record["n"], record["low"], record["high"]) == (1, None, None)
    assert record["estimate"] is not None
    assert {row["p"] for row in report["contrasts"]} == {None}
    assert {(row["metric"], row["n"]) for row in report["contrasts"]} == {
        ("dead_unit_rate", 1),
        ("epochs_to_target", 0),
        ("test_error", 1),
    }
    assert (report["target"]["value"], report["target"]["n"]) == (None, 0), "one of three"


def test_a_lost_trial_leaves_its_seed_out_of_the_averages_it_enters(small: Study) -> None:
    lost = small.of(seed=2, activation="elu", normalization="batch", training__batch_size=2)
    report = small.report(small.trials[~lost])
    curves = {c["normalization"]: c for c in report["small_batch"]["curves"]}
    assert [p["degradation"]["n"] for p in curves["batch"]["points"]] == [4, 5, 5]
    assert curves["batch"]["area"]["n"] == 4
    assert [p["degradation"]["n"] for p in curves["group"]["points"]] == [5, 5, 5]
    assert {row["n"] for row in report["factors"] if row["metric"] == "test_error"} == {4}


def test_diverged_trials_are_kept_flagged_and_never_at_the_target(small: Study) -> None:
    trials, curves = small.trials.copy(), small.curves.copy()
    cell: dict[str, Any] = {"activation": "elu", "normalization": "none", "training__batch_size": 32}
    chosen = small.of(seed=1, **cell)
    trials.loc[chosen, "outcome"] = "diverged"
    trials.loc[chosen, "validation_loss"] = np.inf
    trials.loc[chosen, "test_error"] = 0.9
    trials.loc[small.of(seed=2, **cell), "outcome"] = "stalled"
    curves.loc[curves["trial_id"].isin(trials.loc[chosen, "trial_id"]) & (curves["step"] > 80), "value"] = np.nan
    report = small.report(trials, curves)
    entry = cell_of(report, **cell)
    assert entry["diverged"] == 1
    expected = stats.binomtest(2, 5).proportion_ci(0.95, method="wilson")
    assert entry["collapse_rate"] == {
        "estimate": 0.4,
        "low": pytest.approx(expected.low),
        "high": pytest.approx(expected.high),
        "n": 5,
    }
    assert entry["metrics"]["validation_loss"]["n"] == 4, "not finite is missing"
    assert entry["metrics"]["test_error"]["n"] == 5, "diverged is kept"
    curve = next(c for c in report["convergence"]["curves"] if c["cell"] == entry["cell"])
    assert curve["survival"][-1] == pytest.approx(0.2)
    assert (curve["reached"]["estimate"], curve["reached"]["n"]) == (0.8, 5)
    row = next(c for c in report["contrasts"] if c["metric"] == "test_error" and c["cell"] == entry["cell"])
    assert (row["n"], row["diverged"], row["without_diverged"]["n"]) == (5, 1, 4)
    assert row["without_diverged"]["estimate"] < row["difference"] - 0.1
    other = next(c for c in report["contrasts"] if c["metric"] == "test_error" and c["diverged"] == 0)
    assert other["without_diverged"] is None


def test_a_finished_trial_without_a_curve_has_no_time(small: Study) -> None:
    report = small.report(curves=small.curves[small.curves["trial_id"] != small.trials["trial_id"].iloc[0]])
    assert [c["metrics"]["epochs_to_target"]["n"] for c in report["cells"]] == [4, *[5] * 17]


def test_times_are_compared_within_the_smaller_budget() -> None:
    study = Study(factors={"training.epochs": [2, 4]}, seeds=6, target={"value": 1e-9})
    row = next(c for c in study.report()["contrasts"] if c["metric"] == "epochs_to_target")
    assert row["difference"] == 0.0, "neither arrives, whatever its budget"
    assert row["low"] < -0.5 and row["high"] > 0.5, "and six seeds of each say little"
    study = Study(factors={"training.epochs": [2, 4]}, seeds=3, target={"value": 0.3})  # at 5/8 of each budget
    row = next(c for c in study.report()["contrasts"] if c["metric"] == "epochs_to_target")
    assert row["difference"] == pytest.approx(np.log(2 / 1.125), abs=0.01), (
        "the middle of the evaluations at 1 and 1.25"
    )


def test_a_reference_that_always_diverges_gives_no_target(small: Study) -> None:
    report = small.report(curves=small.curves.assign(value=np.nan))
    assert report["target"]["value"] is None
    assert report["cells"][0]["metrics"]["epochs_to_target"]["n"] == 0


def test_the_order_of_rows_does_not_matter(small: Study) -> None:
    shuffled = small.report(
        small.trials.sample(frac=1.0, random_state=1), small.curves.sample(frac=1.0, random_state=2)
    )
    assert shuffled == small.report()


def test_columns_of_objects_and_float32_are_read_alike(small: Study) -> None:
    objects = small.trials.astype(dict.fromkeys(("test_error", "dead_unit_rate", LAYER), object))
    objects.loc[0, "test_error"] = None
    plain = small.trials.copy()
    plain.loc[0, "test_error"] = np.nan
    assert small.report(objects) == small.report(plain)
    narrow = small.report(curves=small.curves.astype({"value": "float32"}))
    assert narrow["target"]["value"] == pytest.approx(small.report()["target"]["value"])


def test_cells_that_all_have_the_reference_levels_are_compared_with_the_first() -> None:
    report = Study(factors={"model.depth": [1, 3, 5]}, seeds=3).report()
    rows = [row for row in report["contrasts"] if row["metric"] == "test_error"]
    assert [(row["cell"], row["reference"]) for row in rows] == [
        ({"model.depth": 3}, {"model.depth": 1}),
        ({"model.depth": 5}, {"model.depth": 1}),
    ]
    assert {row["factor"] for row in report["factors"]} == {"model.depth"}


def test_a_reference_may_be_a_level_with_parameters_and_may_be_excluded_in_places() -> None:
    leaky = {"name": "leaky_relu", "negative_slope": 0.2}
    study = Study(
        factors={"activation": ["relu", leaky], "normalization": ["none", "batch"]},
        exclude=[{"activation": leaky, "normalization": "batch"}],
        reference={"activation": leaky},
        seeds=3,
    )
    rows = [row for row in study.report()["contrasts"] if row["metric"] == "test_error"]
    assert [(row["cell"], row["reference"]) for row in rows] == [
        ({"activation": "relu", "normalization": "none"}, {"activation": leaky, "normalization": "none"})
    ]


def test_a_varied_parameter_of_a_reference_level_belongs_to_the_reference() -> None:
    study = Study(
        normalization="group",
        factors={"normalization.groups": [4, 8], "activation": ["relu", "elu"]},
        seeds=2,
    )
    rows = [row for row in study.report()["contrasts"] if row["metric"] == "test_error"]
    assert {tuple(row["reference"].values()) for row in rows} == {(4, "relu")}
    assert len(rows) == 3


def test_an_incomplete_grid_has_factor_effects_and_says_how() -> None:
    study = Study(
        factors={"activation": ["relu", "elu", "tanh"], "normalization": ["none", "batch"]},
        exclude=[{"activation": "tanh", "normalization": "batch"}],
        seeds=6,
    )
    rows = [row for row in study.report()["factors"] if row["metric"] == "dead_unit_rate"]
    assert {row["sums_of_squares"] for row in rows} == {"type II"}
    strongest = max(rows, key=lambda row: row["omega_squared"])
    assert strongest["factor"] == "activation"
    assert strongest["omega_squared"] > 0.5
    assert all(0 <= row["low"] <= row["high"] <= 1 for row in rows)


def test_one_cell_and_seeds_beyond_the_plan() -> None:
    study = Study(seeds=2)
    extra = study.trials.assign(seed=study.trials["seed"] + 10, trial_id=study.trials["trial_id"] + 10)
    report = study.report(pd.concat([study.trials, extra]))
    assert report["cells"][0]["metrics"]["test_error"]["n"] == 4
    assert report["cells"][0]["seeds"] == 4
    assert (report["contrasts"], report["factors"]) == ([], [])


def test_more_seeds_than_are_enumerated_give_a_report_that_can_be_repeated() -> None:
    study = Study(factors={"activation": ["relu", "elu"]}, seeds=24)
    assert study.report() == study.report()
    assert next(r for r in study.report()["contrasts"] if r["metric"] == "dead_unit_rate")["p"] == pytest.approx(1e-4)


def test_the_area_under_the_learning_curve_has_the_ceiling_of_a_constant_guess() -> None:
    """That of ten classes is ln 10; of numbers what the trials measured, and the same for all of them."""
    for task, ceiling in (({"dataset": "digits"}, np.log(10)), ({"dataset": "regression_1d"}, 1.3)):
        study = Study(task=task, factors={"activation": ["relu", "elu"]}, seeds=3)
        study.trials["constant_guess_loss"] = [1.2, 1.3, 1.4] * 2
        best = study.curves["value"].min()
        for entry, own in zip(study.report()["cells"], study.design.cells, strict=True):
            areas = []
            for trial in study.trials.loc[study.trials["cell"] == own.index, "trial_id"]:
                curve = study.curves[study.curves["trial_id"] == trial]
                height = np.clip((curve["value"] - best) / (ceiling - best), 0, 1)
                areas.append(np.trapezoid(height, curve["step"]) / curve["step"].max())
            assert entry["metrics"]["aulc"]["estimate"] == pytest.approx(np.mean(areas))


def test_an_error_is_called_what_it_is() -> None:
    """Numbers leave variance unexplained; a study of both has a word that is true of both."""
    numbers = Study(task={"dataset": "regression_1d"}, seeds=2).report()["words"]
    assert numbers == {"error": "unexplained variance", "accuracy": "explained variance", "loss_unit": "squared units"}
    both = Study(factors={"task.dataset": ["xor", "regression_1d"]}, seeds=2).report()["words"]
    assert both["error"] == "error"
    assert words("regression", 0.04).error == "misses by over 0.04"
    assert words("classification", 0.04) == words("classification")
