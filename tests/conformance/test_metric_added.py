"""Adding a measurement is one entry a table: a metric and a family that no file names, measured, reported and told."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from actinium.errors import ProbeFault
from actinium.frame import LaneFinished, PackFrames, layer_series
from actinium.measurements import MEASUREMENTS
from actinium.measurements.definition import event, quantity, share
from actinium.measurements.page import page
from actinium.objectives import words
from actinium.statistics.report import build_report
from actinium.study import StudySpec, expand, parse_study
from actinium.trial import TrialConfig
from dashboard.words import axis_title, is_share, metric_word
from services.api.catalogue import catalogue
from workers.layers import LaneModel
from workers.models import build_model
from workers.probes import activation_statistics, probe_series, spectrum
from workers.probes.chunk import LayerChunk
from workers.probes.families import FAMILIES
from workers.probes.family import Family
from workers.probes.gathering import Gathered, LayerLook
from workers.probes.probed_pack import ProbedPack
from workers.probes.schedule import averaged_steps
from workers.probes.singular_values import SingularValues
from workers.training.train import pack_layout, train_pack

NAME = "negative_weight_share"


def first_and_last(config: TrialConfig) -> frozenset[int]:
    steps = config.probe_steps()
    return frozenset([steps[0], steps[-1]])


def signs(pack: ProbedPack, step: int) -> Mapping[str, Tensor]:
    """Of each layer's weights, how many are negative; the network's is the mean over layers."""
    shares = [
        (pack.model.params[f"{layer}.weight"] < 0).flatten(1).double().mean(1) for layer in pack.model.hidden_names
    ]
    values = {layer_series(NAME, number): value for number, value in enumerate(shares, start=1)}
    return {**values, NAME: torch.stack(shares).mean(0)}


METRIC = share(
    "negative weights",
    "share of a layer's weights that are below 0",
    family="weight_signs",
    section="D4",
    defined="layer",
    network="mean over layers",
)
FAMILY = Family(name="weight_signs", always=True, steps=first_and_last, measure=signs)


class LargestOutput:
    """max h of a layer."""

    def __init__(self) -> None:
        self._largest: Tensor | None = None

    def add(self, chunk: LayerChunk) -> None:
        largest = chunk.peak(chunk.activation).amax(1)
        self._largest = largest if self._largest is None else torch.maximum(self._largest, largest)

    def by_layer(self) -> Mapping[str, Tensor]:
        assert self._largest is not None
        return {"largest_output": self._largest.double()}


GATHERED = Family(
    name="extremes", always=True, steps=averaged_steps, gather=lambda look: Gathered(layers=(LargestOutput(),))
)
LARGEST = quantity(
    "largest output",
    "max h over units and examples",
    family="extremes",
    section="D5",
    defined="layer",
    network="none",
    low=0.0,
)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Both tables with both additions."""
    monkeypatch.setitem(MEASUREMENTS, NAME, METRIC)
    monkeypatch.setitem(FAMILIES, "weight_signs", FAMILY)
    monkeypatch.setitem(MEASUREMENTS, "largest_output", LARGEST)
    monkeypatch.setitem(FAMILIES, "extremes", GATHERED)
    yield monkeypatch


def study() -> StudySpec:
    return parse_study(
        {
            "name": "signs",
            "task": {"train_examples": 64},
            "model": {"kind": "mlp", "depth": 2, "width": 6},
            "training": {"batch_size": 16, "epochs": 2},
            "factors": {"activation": ["relu", "tanh"]},
            "seeds": 2,
            "probes": {"schedule": {"points": 5}, "averaged_points": 2},
        }
    )


def trained(configs: list[TrialConfig]) -> tuple[dict[int, np.ndarray], dict[int, LaneFinished]]:
    """Frames [L, S] by step, and ends by lane."""
    events = list(train_pack(configs))
    frames = {event.step: event.values for event in events if isinstance(event, PackFrames)}
    return frames, {event.lane: event for event in events if isinstance(event, LaneFinished)}


def test_an_added_metric_is_measured_where_it_is_due_and_told_everywhere(added: pytest.MonkeyPatch) -> None:
    spec = study()
    design = expand(spec)
    trials = [(cell, config) for cell, config in design.trials()]
    configs = [config for _, config in trials]
    frames, ends = trained(configs)

    layout = pack_layout(configs[0])
    names = [NAME, f"{NAME}/layer_01", f"{NAME}/layer_02"]
    assert [name for name in layout.series if name.startswith(NAME)] == names
    assert "largest_output/layer_02" in layout.series and "largest_output" not in layout.series
    steps = configs[0].probe_steps()
    for name in names:
        column = {step: values[:, layout.series.index(name)] for step, values in frames.items()}
        assert all(0.3 < value < 0.7 for step in (steps[0], steps[-1]) for value in column[step])
        assert all(np.isnan(column[step]).all() for step in steps[1:-1])
    largest = layout.series.index("largest_output/layer_01")
    averaged = averaged_steps(configs[0])
    assert all(np.isfinite(values[:, largest]).all() == (step in averaged) for step, values in frames.items())

    metrics = [ends[lane].summary.metrics for lane in range(len(configs))]
    last = frames[steps[-1]][:, layout.series.index(NAME)]
    assert [found[NAME] for found in metrics] == last.tolist()

    rows: list[dict[str, Any]] = [
        {"trial_id": lane, "cell": cell.index, "seed": config.seed, "state": "succeeded", "outcome": "converged", **own}
        for lane, ((cell, config), own) in enumerate(zip(trials, metrics, strict=True))
    ]
    report = build_report(
        study_id=1,
        revision=1,
        spec=spec,
        cells=[(cell.index, cell.cell, cell.config) for cell in design.cells],
        trials=pd.DataFrame(rows),
        curves=pd.DataFrame({"trial_id": [], "step": [], "value": []}),
    )
    for entry in report.cells:
        found = entry.metrics[NAME]
        assert found.n == 2 and found.estimate is not None and found.low is not None and found.high is not None
        assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0

    (told,) = [entry for entry in catalogue()["metrics"] if entry["name"] == NAME]
    assert (told["low"], told["high"], told["unit"], told["family"]) == (0.0, 1.0, "share", "weight_signs")
    assert f"| `{NAME}` | negative weights | weight_signs | D4 | layer (mean over layers) | 0 to 1 |" in page()
    assert metric_word(f"{NAME}/layer_02") == "negative weights" and is_share(NAME)
    assert axis_title(NAME, words("classification")) == "negative weights (%)"


def test_a_metric_that_every_cell_lists_is_listed_unmeasured(added: pytest.MonkeyPatch) -> None:
    added.setitem(MEASUREMENTS, NAME, replace(METRIC, reported=True))
    spec = study()
    report = build_report(
        study_id=1,
        revision=1,
        spec=spec,
        cells=[(cell.index, cell.cell, cell.config) for cell in expand(spec).cells],
        trials=pd.DataFrame(),
        curves=pd.DataFrame(),
    )
    assert all(entry.metrics[NAME].n == 0 for entry in report.cells)


def test_no_event_in_any_seed_has_its_bound_if_the_table_says_that_it_is_one(added: pytest.MonkeyPatch) -> None:
    spec = study()
    rows = [
        {"trial_id": n, "cell": 0, "seed": n, "state": "succeeded", "outcome": "converged", "never_seen": 0.0}
        for n in range(2)
    ]
    for entry in (None, event("never", "it never happens", family="weight_signs")):
        if entry is not None:
            added.setitem(MEASUREMENTS, "never_seen", entry)
        report = build_report(
            study_id=1,
            revision=1,
            spec=spec,
            cells=[(cell.index, cell.cell, cell.config) for cell in expand(spec).cells],
            trials=pd.DataFrame(rows),
            curves=pd.DataFrame({"trial_id": [], "step": [], "value": []}),
        )
        assert (report.cells[0].metrics["never_seen"].zero_event_bound is None) == (entry is None)


def too_few(pack: ProbedPack, step: int) -> Mapping[str, Tensor]:
    return {name: value for name, value in signs(pack, step).items() if "/" in name}


def misspelt(pack: ProbedPack, step: int) -> Mapping[str, Tensor]:
    return {name.replace("weight", "wieght"): value for name, value in signs(pack, step).items()}


def too_many(pack: ProbedPack, step: int) -> Mapping[str, Tensor]:
    return {**signs(pack, step), "activation_rate": signs(pack, step)[NAME]}


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (replace(FAMILY, measure=too_few), f"'weight_signs'.* did not give {NAME} "),
        (replace(FAMILY, measure=misspelt), f"'weight_signs'.* did not give .*{NAME}.* gave .*negative_wieght_share"),
        (replace(FAMILY, measure=too_many), "'weight_signs'.* gave activation_rate, which nobody asked for"),
        (replace(FAMILY, measure=None), f"'weight_signs'.* did not give .*{NAME}/layer_02"),
    ],
    ids=["too few", "misspelt", "too many", "none"],
)
def test_a_family_that_gives_other_series_than_it_should_is_named_with_them(
    added: pytest.MonkeyPatch, broken: Family, told: str
) -> None:
    added.setitem(FAMILIES, "weight_signs", broken)
    with pytest.raises(ProbeFault, match=told):
        trained([config for _, config in expand(study()).trials()])


class Misspelt(LargestOutput):
    """Gives a name that is not in the table."""

    def by_layer(self) -> Mapping[str, Tensor]:
        return {"largest_ouptut": super().by_layer()["largest_output"]}


def test_so_is_one_that_gathers_what_is_not_in_the_table(added: pytest.MonkeyPatch) -> None:
    broken = replace(GATHERED, gather=lambda look: Gathered(layers=(Misspelt(),)))
    added.setitem(FAMILIES, "extremes", broken)
    told = r"'extremes'.*did not give largest_output/layer_01.*gave largest_ouptut/layer_01"
    with pytest.raises(ProbeFault, match=told):
        trained([config for _, config in expand(study()).trials()])


def test_means_at_a_step_at_which_none_are_taken_are_refused(added: pytest.MonkeyPatch) -> None:
    """They would be of the first few examples alone."""
    added.setitem(FAMILIES, "extremes", Family(name="extremes", always=True, gather=GATHERED.gather))
    with pytest.raises(ProbeFault, match=r"'extremes' .* takes means at a step at which none are taken"):
        trained([config for _, config in expand(study()).trials()])


def test_a_series_is_of_one_family(added: pytest.MonkeyPatch) -> None:
    added.setitem(FAMILIES, "other", replace(FAMILY, name="weight_signs"))
    with pytest.raises(ProbeFault, match=f"two families of probes give '{NAME}'"):
        probe_series(TrialConfig())


def test_a_family_may_remember_and_give_one_number_of_the_whole_trial(added: pytest.MonkeyPatch) -> None:
    """How much of the first layer's weights has changed its sign since step 0; lanes leave, checkpoints or not."""

    def measure(pack: ProbedPack, step: int) -> Mapping[str, Tensor]:
        negative = (pack.model.params["layer_01.weight"] < 0).flatten(1)
        pack.memory["flipped"] = (negative != pack.memory.setdefault("signs", negative)).double().mean(1)
        return signs(pack, step)

    added.setitem(MEASUREMENTS, "flipped_share", replace(METRIC, defined="network", network="own", summary_only=True))
    end = replace(FAMILY, measure=measure, end=lambda pack: {"flipped_share": pack.memory["flipped"]})
    added.setitem(FAMILIES, "weight_signs", end)
    _, ends = trained([config for _, config in expand(study()).trials()])
    assert all(0.0 < own.summary.metrics["flipped_share"] < 0.5 for own in ends.values())
    added.setitem(FAMILIES, "weight_signs", replace(end, end=lambda pack: {}))
    with pytest.raises(ProbeFault, match=r"did not give flipped_share \(at the end\)"):
        trained([config for _, config in expand(study()).trials()])


def test_an_artifact_is_one_entry_too(added: pytest.MonkeyPatch) -> None:
    def biases(model: LaneModel, lane: int) -> Mapping[str, np.ndarray]:
        return {"last_biases": model.params["classifier.bias"][lane].detach().numpy().copy()}

    added.setitem(FAMILIES, "biases", Family(name="biases", always=True, artifacts=biases))
    _, ends = trained([config for _, config in expand(study()).trials()])
    assert all(own.artifacts["last_biases"].shape == (10,) for own in ends.values())


def test_what_an_activation_learns_beside_a_slope_is_measured() -> None:
    """S-shaped rectifiers learn four, a written activation what it names; one that learns nothing has none of them."""
    swish = {"name": "expression", "expr": "z * sigmoid(a * z)", "parameters": {"a": {"init": 0.5, "learnable": True}}}
    base = study().model_dump(mode="json") | {"factors": {"activation": ["relu", "prelu", "srelu", swish]}, "seeds": 1}
    spec = parse_study(base | {"probes": {"weights": {}, "schedule": {"points": 5}}})
    configs = [config for _, config in expand(spec).trials()]
    _, ends = trained(configs)
    relu, prelu, srelu, written = (ends[lane].summary.metrics for lane in range(4))
    stem = "learned_parameter_"
    assert not any(name.startswith(stem) for name in (*relu, *prelu))
    assert {"learned_slope/layer_01", "learned_slope/layer_02"} <= set(prelu)
    four = {f"{side}_{what}" for side in ("left", "right") for what in ("threshold", "slope")}
    assert {name for name in srelu if name.startswith(stem)} == {
        f"{stem}{name}/layer_0{number}" for name in four for number in (1, 2)
    }
    assert srelu[f"{stem}left_threshold/layer_01"] == pytest.approx(0.0, abs=0.2)
    assert [name for name in written if name.startswith(stem)] == [f"{stem}a/layer_01", f"{stem}a/layer_02"]
    assert 0.0 < abs(written[f"{stem}a/layer_01"] - 0.5) < 0.3


def test_a_shared_quantity_is_gathered_once() -> None:
    """The effective rank and the spectrum read one set of singular values."""
    config = TrialConfig.model_validate({"probes": {"spectrum": {}}})
    model, shared = build_model([config]), {}
    for gather in (activation_statistics.gather, spectrum.gather):
        due = frozenset({"effective_rank"})
        gather(LayerLook(config=config, model=model, layer=0, due=due, shared=shared))
    assert list(shared) == [SingularValues]
