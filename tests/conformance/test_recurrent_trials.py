"""Recurrent networks in whole trials: lanes alone and in company, probes, sequences of pixels."""

import math

import numpy as np
import pytest
import torch
from trained import trained

from actinium.datasets.table import DATASETS
from actinium.levels import Activation, Initialization, Normalization
from actinium.probes import Sparsity, UnitStates
from actinium.study import expand, parse_study
from actinium.trial import Lstm, Probes, Rnn, Schedule, Task, Training, TrialConfig
from workers.datasets import load
from workers.datasets.digits import fixed_permutation
from workers.layers import Pass
from workers.models import build_model
from workers.packing import first_width, weight_count
from workers.preflight import looked_at, memory_bytes
from workers.probes import PackProbes, probe_series
from workers.probes.gradient_flow import gradient_rms, preactivation_gradients
from workers.probes.weights import weight_values
from workers.training.batches import pack_data

ORDER = [14, 33, 11, 9, 29, 58, 60, 20]
"""How the fixed permutation of 64 begins, always."""

SMALL = Task(train_examples=96)
SHORT = Probes(schedule=Schedule(points=4))
NORMALIZATIONS = ["none", "batch", "layer", {"name": "batch", "ghost_batch_size": 8}]
ACTIVATIONS = ["tanh", "relu", "prelu", "elu", "rrelu"]


def mixed(model: Rnn | Lstm, count: int, **fields: object) -> list[TrialConfig]:
    return [
        TrialConfig(
            **{
                "task": SMALL,
                "model": model,
                "training": Training(
                    batch_size=16,
                    epochs=1,
                    learning_rate=0.02,
                    weight_decay=(0.0, 1e-2)[lane % 2],
                    gradient_clip=(None, 0.5)[lane % 2],
                    dropout=(0.0, 0.2)[lane % 2],
                ),
                "activation": Activation.of(ACTIVATIONS[lane % len(ACTIVATIONS)]),
                "normalization": Normalization.of(NORMALIZATIONS[lane % len(NORMALIZATIONS)]),
                "initialization": Initialization.of(("xavier", "orthogonal")[lane % 2]),
                "probes": SHORT,
                "seed": lane % 3,
                **fields,
            }
        )
        for lane in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("model", [Rnn(width=8, depth=2), Lstm(width=8)], ids=["rnn", "lstm"])
def test_a_pack_of_mixed_recurrent_lanes_is_its_solos(model: Rnn | Lstm) -> None:
    configs = mixed(model, 8)
    together, summaries = trained(configs)
    again, _ = trained(configs)
    for lane, config in enumerate(configs):
        assert np.array_equal(together[lane], again[lane], equal_nan=True)
        (alone,), (summary,) = trained([config])
        np.testing.assert_allclose(together[lane][:, :2], alone[:, :2], rtol=2e-4, err_msg=config.run_name())
        assert np.array_equal(np.isnan(together[lane]), np.isnan(alone))
        assert summaries[lane].parameters == summary.parameters


def test_losses_are_the_same_bits_with_probes_on_and_off() -> None:
    configs = mixed(Lstm(width=8), 4)
    off = Probes(schedule=SHORT.schedule, dead_units=None, gradient_flow=None, activation_statistics=None)
    all_on = SHORT.model_copy(update={"unit_states": UnitStates(), "sparsity": Sparsity()})
    bare, _ = trained([config.model_copy(update={"probes": off}) for config in configs])
    full, summaries = trained([config.model_copy(update={"probes": all_on}) for config in configs])
    quiet_steps = configs[0].model_copy(update={"probes": off}).frame_steps()
    shared = [configs[0].frame_steps().index(step) for step in quiet_steps]
    for quiet, measured in zip(bare, full, strict=True):
        assert np.array_equal(quiet, measured[shared, :5], equal_nan=True)
    assert {"dead_unit_rate/layer_01", "effective_rank", "pinned_negative_rate", "zero_share", "test_error"} <= (
        summaries[0].metrics.keys()
    )


def test_units_are_judged_over_examples_and_time_steps() -> None:
    """A unit that hardly ever wakes is alive: one row of one image is enough. One that never does is dead."""
    config = mixed(Rnn(width=4), 1, activation=Activation.of("relu"), normalization=Normalization.of("none"))[0]
    pack = build_model([config])
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    pixels = data.take(data.train)[0][0, :, 0, :, 4]
    brightest, second = pixels.flatten().unique()[-1:].item(), pixels.flatten().unique()[-2:-1].item()
    with torch.no_grad():
        for name in ("layer_01.weight", "recurrent_01.weight"):
            pack.params[name].zero_()
        pack.params["layer_01.weight"][0, 4, :2] = 1.0
        pack.params["layer_01.bias"][0] = torch.tensor([-(brightest + second) / 2, -brightest - 1.0, 1.0, -1.0])
    values = PackProbes(configs=[config], model=pack, data=data).measure(0)[0]
    assert values[probe_series(config).index("dead_unit_rate")] == 0.5


def test_gradients_through_time_are_the_mean_over_all_steps() -> None:
    """A linear chain of width 1, W_h = w: dL/dz_t shrinks by w a step, and its mean square is a geometric sum."""
    config = mixed(Rnn(width=1), 1, activation=Activation.of("linear"))[0]
    pack = build_model([config], dtype=torch.float64)
    with torch.no_grad():
        pack.params["recurrent_01.weight"].fill_(0.5)
    inputs = torch.randn(1, 12, 1, 8, 8, dtype=torch.float64)
    labels = torch.arange(12).unsqueeze(0) % 10
    rms = gradient_rms(preactivation_gradients(pack, inputs, labels), 0)
    x = inputs[0, :, 0]
    h = torch.zeros(12, 1, dtype=torch.float64)
    for step in range(8):
        h = x[:, step] @ pack.params["layer_01.weight"][0].detach() + 0.5 * h
    h = h.requires_grad_()
    logits = h @ pack.params["classifier.weight"][0].detach().T
    loss = torch.nn.functional.cross_entropy(logits, labels[0])
    (last,) = torch.autograd.grad(loss, h)
    expected = last.square().mean() * sum(0.25**step for step in range(8)) / 8
    assert float(rms) == pytest.approx(math.sqrt(expected), rel=1e-9)


@pytest.mark.parametrize("model", [Rnn(width=4, depth=2), Lstm(width=4)], ids=["rnn", "lstm"])
def test_a_layers_weights_are_those_of_input_and_state_together(model: Rnn | Lstm) -> None:
    config = mixed(model, 1)[0]
    pack = build_model([config], dtype=torch.float64)
    inputs, labels = torch.randn(1, 12, 1, 8, 8, dtype=torch.float64), torch.arange(12).unsqueeze(0) % 10
    values = weight_values(pack, inputs, labels)
    logits = pack.forward(pack.params, inputs, Pass.measuring())
    loss = torch.nn.functional.cross_entropy(logits[0], labels[0])
    for number in range(1, model.depth + 1):
        both = [pack.params[f"{place}_{number:02d}.weight"] for place in ("layer", "recurrent")]
        gradients = torch.autograd.grad(loss, both, retain_graph=True)
        size = math.sqrt(sum(float(weight.detach().square().sum()) for weight in both))
        steepness = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
        assert float(values[f"weight_norm/layer_{number:02d}"]) == pytest.approx(size)
        assert float(values[f"weight_gradient_share/layer_{number:02d}"]) == pytest.approx(steepness / size)
        numbers = sum(weight.numel() for weight in both)
        assert float(values[f"weight_gradient_rms/layer_{number:02d}"]) == pytest.approx(steepness / numbers**0.5)


def test_digits_are_read_pixel_by_pixel() -> None:
    """The same images and labels; one fixed order of the pixels for all."""
    digits, sequential, permuted = (load(name) for name in ("digits", "sequential_digits", "permuted_digits"))
    assert sequential.inputs.shape[1:] == DATASETS["sequential_digits"].shape == (1, 64, 1)
    assert torch.equal(sequential.inputs.flatten(1), digits.inputs.flatten(1))
    assert torch.equal(sequential.labels, digits.labels) and torch.equal(permuted.labels, digits.labels)
    assert not torch.equal(permuted.inputs, sequential.inputs)
    assert torch.equal(permuted.inputs.flatten(1).sort(1).values, digits.inputs.flatten(1).sort(1).values)
    order = fixed_permutation(64)
    assert order[:8] == ORDER
    assert torch.equal(permuted.inputs.flatten(1), digits.inputs.flatten(1)[:, order])


def test_size_and_memory_are_told_before_training() -> None:
    for model, columns in ((Rnn(width=16, depth=2), 16), (Lstm(width=16, depth=2), 64)):
        config = TrialConfig(model=model, activation=Activation.of("tanh"))
        params = build_model([config]).params
        weights = sum(tensor.numel() for name, tensor in params.items() if name.endswith(".weight"))
        assert weight_count(config) == weights == columns * (8 + 16 + 16 + 16) + 16 * 10
        assert config.layers() == [(16, 8), (16, 8)]
        assert memory_bytes(config, 0) == 4 * 4 * 64 * 2 * 8 * columns
        assert first_width(config, "cpu") == 16
        (found,) = looked_at([config], None)
        assert len(found["forward_rms"]) == 2 and found["backward_factor"] > 0
        assert found["time_steps"] == 8 and 0.5 < found["time_factor"] < 1.2


def test_a_study_of_recurrent_networks() -> None:
    """Rows of digits, normalized as the papers do: all learn, and cells without a recurrent form are listed."""
    study = parse_study(
        {
            "name": "rows-of-digits",
            "task": {"dataset": "digits"},
            "model": {"kind": "rnn", "width": 24},
            "training": {"learning_rate": 0.1, "batch_size": 64, "epochs": 4},
            "factors": {"activation": ["tanh"], "normalization": ["none", "batch", "layer", "group"]},
            "probes": {"schedule": {"points": 3}},
            "seeds": 1,
        }
    )
    design = expand(study)
    assert [invalid.reason for invalid in design.invalid] == [
        "group normalization has no recurrent form here; batch and layer have"
    ]
    trials = [config for _, config in design.trials()]
    _, summaries = trained(trials)
    assert [summary.metrics["test_error"] < 0.3 for summary in summaries] == [True] * 3
