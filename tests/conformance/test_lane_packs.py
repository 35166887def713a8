"""What a lane owes to its company: nothing. Packs against solos, lanes that break, and draws that are shared."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from trained import trained

from actinium.errors import InvalidInput
from actinium.frame import Outcome
from actinium.levels import Activation, Initialization, Normalization
from actinium.trial import Cnn, Mlp, Model, Probes, Schedule, Task, Training, TrialConfig
from workers.layers import Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.objectives import cross_entropy
from workers.training.batches import epoch_order, pack_data
from workers.training.evaluation import evaluate
from workers.training.optimizers import OPTIMIZERS
from workers.training.train import pack_layout, train_pack

SMALL = Task(train_examples=160)
SHORT = Probes(schedule=Schedule(points=6))
MLP_NORMALIZATIONS = [
    "none",
    "batch",
    {"name": "batch", "position": "post"},
    "layer",
    {"name": "group", "groups": 2},
    {"name": "batch", "momentum": 0.5},
]
ACTIVATIONS = ["relu", "tanh", "elu", "prelu", "sigmoid", "leaky_relu", "linear"]
INITIALIZATIONS = ["he", "xavier", "orthogonal", {"name": "he", "distribution": "uniform"}]


def mixed(count: int, model: Model, normalizations: Sequence[object], **training: object) -> list[TrialConfig]:
    return [
        TrialConfig(
            task=SMALL,
            model=model,
            training=Training(
                batch_size=16,
                epochs=1,
                learning_rate=0.01 * (1 + lane % 3),
                momentum=(0.9, 0.0)[lane % 2],
                weight_decay=(0.0, 1e-2, 0.0)[lane % 3],
                **training,
            ),
            activation=Activation.of(ACTIVATIONS[lane % len(ACTIVATIONS)]),
            normalization=Normalization.of(normalizations[lane % len(normalizations)]),
            initialization=Initialization.of(INITIALIZATIONS[lane % len(INITIALIZATIONS)]),
            probes=SHORT,
            seed=lane % 5,
        )
        for lane in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_pack_of_32_mixed_lanes_is_32_packs_of_one(optimizer: str) -> None:
    """Ten steps in float32. Sums run in another order in another company, which costs some 1e-7 a step of relative
    error; smooth losses must agree to 2e-4. Rates count units and examples: one of 16 units may tip.
    """
    configs = mixed(32, Mlp(depth=3, width=16), MLP_NORMALIZATIONS, optimizer=optimizer)
    together, summaries = trained(configs)
    layout = pack_layout(configs[0])
    smooth = [layout.series.index(name) for name in ("train_loss", "evaluation_loss", "validation_loss")]
    for lane, config in enumerate(configs):
        (alone,), (summary,) = trained([config])
        np.testing.assert_allclose(together[lane][:, smooth], alone[:, smooth], rtol=2e-4, err_msg=config.run_name())
        assert np.array_equal(np.isnan(together[lane]), np.isnan(alone))
        assert summaries[lane].outcome == summary.outcome
        assert summaries[lane].parameters == summary.parameters
        assert summaries[lane].metrics.keys() == summary.metrics.keys()
        assert summaries[lane].metrics["test_error"] == pytest.approx(summary.metrics["test_error"], abs=2 / 359)
        assert (summary.pack_width, summaries[lane].pack_width) == (1, 32)


@pytest.mark.slow
def test_a_pack_of_mixed_convolutional_lanes_is_its_solos() -> None:
    configs = mixed(9, Cnn(width=4), ["none", "batch", "instance", "layer", {"name": "group", "groups": 2}])
    together, _ = trained(configs)
    for lane, config in enumerate(configs):
        (alone,), _ = trained([config])
        np.testing.assert_allclose(together[lane][:, :2], alone[:, :2], rtol=2e-4, err_msg=config.run_name())


@pytest.mark.parametrize("model", [Mlp(depth=3, width=16), Cnn(width=4)], ids=["mlp", "cnn"])
@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
def test_a_nan_stays_in_its_lane(model: Model, normalization: str) -> None:
    """A lane with a poisoned weight: the others' logits and gradients are bit for bit what they were."""
    base = mixed(4, model, [normalization])
    configs = [base[lane] for lane in lane_order(base)]
    results = []
    for poison in (False, True):
        lanes = build_model(configs)
        if poison:
            with torch.no_grad():
                lanes.params["layer_01.weight"][1].fill_(math.nan)
                lanes.params["layer_02.weight"][1].fill_(math.inf)
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(*((8, 4) if lanes.lane_axis else (4, 8)), 1, 8, 8, generator=generator)
        logits = lanes.forward(lanes.params, inputs, Pass.step())
        gradients = torch.autograd.grad(logits.sum(), list(lanes.params.values()), materialize_grads=True)
        results.append([logits.detach(), *gradients, *lanes.statistics.values()])
    assert not torch.isfinite(results[1][0][1]).any()
    for clean, poisoned in zip(*results, strict=True):
        for lane in (0, 2, 3):
            assert torch.equal(clean[lane], poisoned[lane])


def error_on_test_after(config: TrialConfig, steps: int) -> float:
    """Of one trial alone, after so many steps of its first epoch."""
    model, data = build_model([config]), pack_data([config], lane_axis=0, device="cpu", data_root=None)
    stepper, size = OPTIMIZERS["sgd"](model.params, [config.training]), config.training.batch_size
    for batch in epoch_order(data, [config], 0).split(size, 1)[:steps]:
        inputs, labels = data.take(batch)
        loss = cross_entropy(model.forward(model.params, inputs, Pass.step()), labels)
        gradients = torch.autograd.grad(loss.sum(), list(model.params.values()))
        stepper.step(model.params, dict(zip(model.params, gradients, strict=True)))
    return float(evaluate(model, data, data.test).error)


def test_a_diverged_lane_leaves_and_the_others_do_not_notice() -> None:
    calm = mixed(5, Mlp(depth=3, width=16), ["none"])
    wild = calm[2].model_copy(
        update={
            "training": calm[2].training.model_copy(update={"learning_rate": 1e4}),
            "activation": Activation.of("relu"),
        }
    )
    configs = [calm[0], calm[1], wild, calm[3], calm[4]]
    frames, summaries = trained(configs)
    steps, evaluations = configs[0].frame_steps(), configs[0].evaluation_steps()
    lost = summaries[2]
    assert lost.outcome is Outcome.DIVERGED
    assert [len(rows) for rows in frames] == [11, 11, len(frames[2]), 11, 11]
    assert lost.steps == lost.metrics["diverged_step"] == steps[len(frames[2]) - 1] < steps[-1]
    assert lost.steps in evaluations
    layout = pack_layout(configs[0])
    *before, last = frames[2]
    assert not np.isfinite(last[layout.series.index("train_loss")])
    assert np.isnan(last[2:]).all(), "only the losses of a lost training are told"
    seen = [row[layout.series.index("dead_unit_rate")] for row in before]
    assert lost.metrics["dead_unit_rate"] == next(rate for rate in reversed(seen) if np.isfinite(rate))
    assert {"gradient_slope", "effective_rank", "train_eval_gap", "dead_unit_rate_running"}.isdisjoint(lost.metrics)
    assert {"born_dead_rate", "best_evaluation_loss", "dead_at_end_rate"} <= lost.metrics.keys()
    assert all(math.isfinite(value) for value in lost.metrics.values())
    counts_as = {"validation_loss": math.log(10), "test_loss": math.log(10), "test_error": 0.9}
    for name, value in {**counts_as, "validation_accuracy": 0.1, "constant_guess_loss": math.log(10)}.items():
        assert lost.metrics[name] == pytest.approx(value), name
    at = evaluations[evaluations.index(lost.steps) - 1]
    assert lost.metrics["test_error_before_divergence"] == pytest.approx(error_on_test_after(wild, at), rel=1e-6)
    undisturbed, _ = trained(calm)
    for lane in (0, 1, 3, 4):
        np.testing.assert_allclose(frames[lane][:, :2], undisturbed[lane][:, :2], rtol=2e-4)
        assert summaries[lane].outcome is not Outcome.DIVERGED


def test_a_pack_ends_when_every_lane_has_diverged() -> None:
    configs = mixed(2, Mlp(depth=3, width=16), ["none"])
    wild = [
        config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": 1e5})})
        for config in configs
    ]
    wild = [config.model_copy(update={"activation": Activation.of("relu")}) for config in wild]
    _, summaries = trained(wild)
    assert [summary.outcome for summary in summaries] == [Outcome.DIVERGED] * 2


def test_losses_are_bit_identical_with_probes_on_and_off() -> None:
    configs = mixed(8, Mlp(depth=3, width=16), MLP_NORMALIZATIONS)
    off = Probes(schedule=SHORT.schedule, dead_units=None, gradient_flow=None, activation_statistics=None)
    bare = [config.model_copy(update={"probes": off}) for config in configs]
    with_probes, _ = trained(configs)
    without, summaries = trained(bare)
    assert pack_layout(bare[0]).series == pack_layout(configs[0]).series[:5]
    shared = [configs[0].frame_steps().index(step) for step in bare[0].frame_steps()]
    for measured, quiet in zip(with_probes, without, strict=True):
        assert np.array_equal(measured[shared, :5], quiet, equal_nan=True)
    assert "test_error" in summaries[0].metrics


def test_training_twice_gives_the_same_bits() -> None:
    configs = mixed(6, Cnn(width=4), ["none", "batch", "layer"])
    first, _ = trained(configs)
    second, _ = trained(configs)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


def test_the_gap_is_of_batch_normalization_alone() -> None:
    configs = mixed(6, Mlp(depth=3, width=16), MLP_NORMALIZATIONS)
    position, steps = pack_layout(configs[0]).position("train_eval_gap"), configs[0].frame_steps()
    frames, summaries = trained(configs)
    for config, rows, summary in zip(configs, frames, summaries, strict=True):
        batch = config.normalization.name == "batch"
        measured = [step for step, row in zip(steps, rows, strict=True) if np.isfinite(row[position])]
        assert measured == (config.probe_steps() if batch else []), "at up to eight of the schedule's points"
        assert ("train_eval_gap" in summary.metrics) == batch
        if batch:
            assert summary.metrics["train_eval_gap"] == rows[-1, position]


def test_cells_of_one_seed_share_their_draws() -> None:
    """Weights are the same numbers but for the rule's scale; seeds differ."""
    base = TrialConfig(model=Mlp(depth=2, width=32), seed=3)
    configs = [
        base.model_copy(update={"initialization": Initialization.of({"name": "normal", "std": 0.5})}),
        base.model_copy(update={"initialization": Initialization.of("he"), "activation": Activation.of("tanh")}),
        base.model_copy(update={"initialization": Initialization.of("xavier")}),
        base.model_copy(update={"initialization": Initialization.of({"name": "normal", "std": 0.5}), "seed": 4}),
    ]
    ordered = [configs[lane] for lane in lane_order(configs)]
    weights = build_model(ordered).params["layer_02.weight"].detach()
    by_config = {config.digest(): weight for config, weight in zip(ordered, weights, strict=True)}
    normal, he, xavier, other = (by_config[config.digest()] for config in configs)
    torch.testing.assert_close(he, normal * 2 * math.sqrt(2 / 32))
    torch.testing.assert_close(xavier, normal * 2 * math.sqrt(2 / 64))
    assert abs(float(torch.corrcoef(torch.stack([normal.flatten(), other.flatten()]))[0, 1])) < 0.1


def test_trials_of_different_shapes_are_no_pack() -> None:
    with pytest.raises(InvalidInput, match="pack key"):
        next(train_pack([TrialConfig(model=Mlp(width=8)), TrialConfig(model=Mlp(width=16))]))
