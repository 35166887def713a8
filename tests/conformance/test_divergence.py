"""What counts as a divergence, and what a diverged trial counts as: small studies that people tripped over."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from actinium.frame import LaneFinished, Outcome, PackFrames, TrialSummary
from actinium.measurements import mixed
from actinium.study import expand, parse_study
from actinium.trial import TrialConfig
from workers.training.train import pack_layout, train_pack

SPIKE: Mapping[str, Any] = {
    "name": "spike",
    "task": {"dataset": "digits", "scaling": "unit"},
    "model": {"kind": "mlp", "depth": 3, "width": 64},
    "training": {"optimizer": "adam", "learning_rate": 0.1, "batch_size": 128, "epochs": 10},
    "initialization": {"name": "xavier", "mode": "average", "distribution": "uniform"},
    "factors": {"activation": ["elu", "prelu", "selu"]},
    "seeds": 5,
}
"""The loss spikes to fifty times the first one within the first epochs, and comes back."""
NAN: Mapping[str, Any] = {
    "name": "nan-credit",
    "task": {"dataset": "digits"},
    "model": {"kind": "mlp", "depth": 3, "width": 64},
    "training": {"learning_rate": 0.1, "momentum": 0.9, "batch_size": 32, "epochs": 8},
    "factors": {"activation": ["relu", "prelu"]},
    "seeds": 6,
}
"""A rate at which PReLU's loss grows without bound in every seed, and ReLU's does not."""
SCHEDULES = ({"points": 2}, {"points": 6}, {"points": 6, "spacing": "linear"}, {"points": 24}, {"points": 100})


def configs_of(document: Mapping[str, Any], **fields: Any) -> list[TrialConfig]:
    """A study's trials."""
    return [config for _, config in expand(parse_study({**document, **fields})).trials()]


def trained(configs: Sequence[TrialConfig]) -> tuple[list[TrialSummary], list[PackFrames]]:
    """Summaries in the order of the configs, and the frames."""
    torch.set_num_threads(1)
    events = list(train_pack(configs))
    done = {event.lane: event.summary for event in events if isinstance(event, LaneFinished)}
    return [done[lane] for lane in range(len(configs))], [event for event in events if isinstance(event, PackFrames)]


def decided(summary: TrialSummary) -> dict[str, Any]:
    """A summary without what a clock says."""
    return summary.model_dump(exclude={"seconds", "probe_seconds"})


@pytest.mark.parametrize("study", [SPIKE, NAN], ids=["spike", "nan"])
def test_the_schedule_of_probes_decides_nothing(study: Mapping[str, Any]) -> None:
    """Outcome, summary and evaluations are equal to the bit, whatever is measured."""
    usual, frames = trained(configs_of(study))
    evaluations = {frame.step: frame.values[:, :2] for frame in frames if np.isfinite(frame.values[:, 1]).any()}
    for schedule in SCHEDULES:
        summaries, frames = trained(configs_of(study, probes={"schedule": schedule}))
        assert [decided(summary) for summary in summaries] == [decided(summary) for summary in usual], schedule
        found = {frame.step: frame.values[:, :2] for frame in frames if frame.step in evaluations}
        for step, values in evaluations.items():
            np.testing.assert_array_equal(found[step], values)


def test_a_spike_that_recovers_is_no_divergence() -> None:
    summaries, frames = trained(configs_of(SPIKE))
    highest = np.nanmax([frame.values[:, 0] for frame in frames if frame.values.shape[0] == len(summaries)], axis=0)
    assert (highest > 10.0 * np.log(10.0)).any(), "nothing spiked: nothing is tested"
    assert {summary.outcome for summary in summaries} <= {Outcome.LEARNED, Outcome.STALLED}
    assert np.median([summary.metrics["test_error"] for summary in summaries]) < 0.5


def test_a_network_that_ended_as_nothing_is_never_better_than_one_that_lives() -> None:
    configs = configs_of(NAN)
    summaries, frames = trained(configs)
    gone = [summary for summary in summaries if summary.outcome is Outcome.DIVERGED]
    assert {config.activation.name for config, summary in zip(configs, summaries, strict=True) if summary in gone} == {
        "prelu"
    }
    assert len(gone) == 6
    for summary in gone:
        assert summary.metrics["test_error"] == pytest.approx(0.9)
        assert summary.metrics["validation_accuracy"] == pytest.approx(0.1)
        assert "effective_rank" not in summary.metrics and "train_eval_gap" not in summary.metrics
        assert 0.0 <= summary.metrics["dead_unit_rate"] <= 1.0
        assert summary.metrics["diverged_step"] == summary.steps < configs[0].steps()
    assert mixed(summary.measurement_versions for summary in summaries) == {}, "one definition, whoever has the metric"
    alive = [summary for summary in summaries if summary not in gone]
    assert all(summary.metrics["test_error"] <= 0.92 for summary in alive)
    last = {lane: frame for frame in frames for lane in frame.lanes}
    series = pack_layout(configs[0]).series
    for lane, config in enumerate(configs):
        if config.activation.name == "prelu":
            row = last[lane].values[last[lane].lanes.index(lane)]
            assert np.isnan(row[series.index("dead_unit_rate")]), "a lost network is not probed"
