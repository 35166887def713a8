"""Probes of activations that take channels by pairs, against loops over units: what is said of units, what of halves.

The values of z are those of the product's forward pass, which `test_channel_models.py` holds; all else is the oracle's.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from actinium.frame import LaneFinished, PackFrames, layer_series
from actinium.trial import TrialConfig
from workers.layers import LaneModel, Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order
from workers.probes import PackProbes, probe_series
from workers.probes.covariate_shift import layer_of
from workers.training.batches import PackData, pack_data
from workers.training.train import pack_layout, train_pack

EPSILON, TAU, EXAMPLES, AVERAGED, FLAT, BLOCKED = 0.02, 0.3, 50, 32, 0.05, 0.05
"""Means are taken of whole batches of 16; the probe set's last one begins anew with its first examples."""
PROBES = {
    "averaged_examples": 30,
    "dead_units": {"epsilon": EPSILON, "dormant_tau": TAU, "examples": EXAMPLES},
    "unit_states": {"constant": FLAT, "blocked": BLOCKED},
    "distributions": {"of": "both"},
    "sparsity": {},
    "spectrum": {"share": 0.8},
}
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"kind": "mlp", "depth": 3, "width": 8},
    "cnn": {"kind": "cnn", "width": 4},
}
PACKS = {"doubling": ("crelu", "two_path_square"), "halving": ("modulus",)}


def config_of(**document: Any) -> TrialConfig:
    small = {"task": {"train_examples": 64}, "training": {"batch_size": 16, "epochs": 2}, "probes": PROBES}
    return TrialConfig.model_validate({**small, **document})


def pack_of(model: str, pack: str) -> tuple[LaneModel, PackData]:
    """Units 0 to 2 of the first layer: z < 0 everywhere, z > 0 everywhere, z = 0 everywhere; where one channel is made
    of two, unit 2 with its partner, and unit 0's partner alone is 0.
    """
    configs = [
        config_of(model=MODELS[model], activation=name, normalization=normal, seed=seed)
        for seed, (name, normal) in enumerate((a, n) for a in PACKS[pack] for n in ("none", "layer"))
    ]
    ordered = [configs[lane] for lane in lane_order(configs)]
    networks = build_model(ordered)
    with torch.no_grad():
        weight, bias = networks.params["layer_01.weight"], networks.params["layer_01.bias"]
        of_units = weight if weight.dim() == 5 else weight.transpose(1, 2)
        units = weight.shape[1] if weight.dim() == 5 else weight.shape[2]
        bias[:, 0], bias[:, 1] = -100.0, 100.0
        nothing = [2] if pack == "doubling" else [units // 2, 2 % (units // 2), 2 % (units // 2) + units // 2]
        for unit in nothing:
            of_units[:, unit] = 0.0
            bias[:, unit] = 0.0
    return networks, pack_data(ordered, lane_axis=networks.lane_axis, device="cpu", data_root=None)


def halves_of(name: str, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of z [K, C, S] the outputs, and the sizes of the first and the second half's derivatives, [K, P, S] each."""
    if name == "modulus":
        a, b = z.chunk(2, 1)
        m = (a * a + b * b).sqrt()
        safe = torch.where(m == 0, 1.0, m)
        return m, a.abs() / safe, b.abs() / safe
    over, under = z.clamp(min=0), -z.clamp(max=0)
    if name == "crelu":
        return torch.cat((over, under), 1), (z > 0).double(), (z < 0).double()
    return torch.cat((over**2, under**2), 1), 2 * over, 2 * under


def expected_of(name: str, z: Tensor) -> dict[str, list[float]]:
    """Every unit's, half's or output's number, by series."""
    h, first, second = halves_of(name, z)
    units, outputs = range(first.shape[1]), range(h.shape[1])
    few, few_z = h[:AVERAGED], z[:AVERAGED]
    rms = float(few.square().mean().sqrt())
    sizes = [float(few[:, unit].abs().mean()) for unit in outputs]
    dead = [[float(half[:, unit].max()) < EPSILON for unit in units] for half in (first, second)]
    found: dict[str, list[float]] = {
        "dead_unit_rate": [float(dead[0][unit] and dead[1][unit]) for unit in units],
        "dead_half_rate": [float(flag) for half in dead for flag in half],
        "saturated_rate": [
            float((torch.maximum(first, second)[:AVERAGED, unit] < EPSILON).double().mean())
            if name != "two_path_square"
            else math.nan
            for unit in units
        ],
        f"dormant_rate_{TAU:g}": [float(size <= TAU * sum(sizes) / len(sizes)) for size in sizes],
        "activation_rate": [float((few_z[:, unit] > 0).double().mean()) for unit in range(z.shape[1])],
        "pinned_negative_rate": [float(z[:, unit].max() < 0) for unit in range(z.shape[1])],
        "pinned_positive_rate": [float(z[:, unit].min() > 0) for unit in range(z.shape[1])],
        "constant_rate": [float(h[:, unit].max() - h[:, unit].min() <= FLAT * rms) for unit in outputs],
        "zero_share": [float((few[:, unit] == 0).double().mean()) for unit in outputs],
    }
    off = [float(h[:, unit].max() <= 0) for unit in outputs]
    if name == "modulus":
        found["off_rate"] = [math.nan for _ in units]
    else:
        found["off_half_rate"] = off
        found["off_rate"] = [off[unit] * off[unit + len(units)] for unit in units]
    return found


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("model", MODELS)
def test_every_rate_is_that_of_a_loop(model: str, pack: str) -> None:
    networks, data = pack_of(model, pack)
    probes = PackProbes(configs=networks.configs, model=networks, data=data)
    series = probe_series(networks.configs[0])
    values = dict(zip(series, probes.measure(0).T.astype(float), strict=True))
    trace = Trace()
    inputs, labels = data.take(torch.cat([data.train[:, :EXAMPLES], data.train[:, : -EXAMPLES % 16]], 1))
    logits = networks.forward(networks.params, inputs, Pass.measuring(trace=trace))  # no lane goes by the batch
    loss = functional.cross_entropy(logits.mT, labels, reduction="sum")
    gradients = torch.autograd.grad(loss, trace.preactivations)
    for lane, config in enumerate(networks.configs):
        layers = []
        for number, (whole, gradient) in enumerate(zip(trace.preactivations, gradients, strict=True), start=1):
            z, arriving = (t.detach().movedim(networks.lane_axis, 0)[lane].double() for t in (whole, gradient))
            z, arriving = (t.unsqueeze(2) if networks.lane_axis == 0 else t.flatten(2) for t in (z, arriving))
            layers.append(expected_of(config.activation.name, z))
            most = [float(arriving[:, unit].abs().max()) for unit in range(arriving.shape[1])]
            units = layers[-1]["dead_unit_rate"]
            layers[-1]["blocked_rate"] = [
                float(not dead and max(most[unit :: len(units)]) < BLOCKED) for unit, dead in enumerate(units)
            ]
            h = halves_of(config.activation.name, z)[0][:AVERAGED]
            rows = h.transpose(1, 2).flatten(0, 1)
            spectrum = torch.linalg.svdvals(rows)
            p = spectrum / spectrum.sum()
            own = {
                "activation_mean": float(h.mean()),
                "activation_std": float(h.std(correction=0)),
                "effective_rank": float(torch.special.entr(p).sum().exp()),
                "stable_rank": float(spectrum.square().sum() / spectrum.max() ** 2),
            }
            own |= {name: share_of(units) for name, units in layers[-1].items() if not name.startswith("dormant")}
            for name, value in own.items():
                np.testing.assert_allclose(
                    values[layer_series(name, number)][lane], value, rtol=2e-4, atol=1e-6, err_msg=name
                )
        for name in layers[0]:
            everywhere = [value for layer in layers for value in layer[name]]
            means = [share_of(layer[name]) for layer in layers]
            expected = sum(means) / len(means) if name == "zero_share" else share_of(everywhere)
            np.testing.assert_allclose(values[name][lane], expected, rtol=1e-5, atol=1e-6, err_msg=name)


def share_of(values: list[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("model", MODELS)
def test_a_pair_is_dead_where_z_is_zero_and_half_of_it_where_z_has_one_sign(model: str) -> None:
    networks, data = pack_of(model, "doubling")
    values = PackProbes(configs=networks.configs, model=networks, data=data).measure(0)
    series, units = probe_series(networks.configs[0]), networks.params["layer_01.bias"].shape[1]
    plain = [lane for lane, config in enumerate(networks.configs) if config.normalization.name == "none"]
    for lane in plain:
        found = dict(zip(series, values[lane].tolist(), strict=True))
        assert found["dead_unit_rate/layer_01"] == pytest.approx(1 / units)
        assert found["dead_half_rate/layer_01"] == pytest.approx((1 + 1 + 2) / (2 * units))
        assert found["off_half_rate/layer_01"] == found["dead_half_rate/layer_01"]
        assert found["off_rate/layer_01"] == found["dead_unit_rate/layer_01"]


def test_only_packs_of_pairs_have_rates_of_halves() -> None:
    names = {
        name: {s for s in probe_series(config_of(activation=name)) if "half" in s and "/" not in s}
        for name in ("relu", "abs", "crelu", "two_path_square", "modulus")
    }
    assert names == {
        "relu": set(),
        "abs": set(),
        "crelu": {"dead_half_rate", "off_half_rate"},
        "two_path_square": {"dead_half_rate", "off_half_rate"},
        "modulus": {"dead_half_rate"},
    }


def test_every_projection_belongs_to_the_last_layer_of_its_block() -> None:
    """Where activations change the number of channels, every block of a ResNet-50 has one."""
    config = config_of(model={"kind": "resnet50", "width": 2}, activation="crelu")
    names = [
        name for name in build_model([config]).params if name.startswith("projection_") and name.endswith("weight")
    ]
    assert [layer_of(config, name) for name in names] == [1 + 3 * number for number in range(1, 17)]


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("model", MODELS)
def test_a_study_of_them_is_measured_to_its_end(model: str, pack: str) -> None:
    """Losses are the same to the bit without probes; every fate's share is of pairs."""
    everything = {**PROBES, "weights": {}, "statistic_error": {}, "input_drift": {}, "covariate_shift": {}}
    none = {"dead_units": None, "gradient_flow": None, "activation_statistics": None}
    losses, summaries = [], []
    for probes in (everything, none):
        configs = [
            config_of(model=MODELS[model], activation=name, normalization="batch", probes=probes, seed=seed)
            for seed, name in enumerate(PACKS[pack])
        ]
        layout, rows = pack_layout(configs[0]), []
        for event in train_pack(configs):
            if isinstance(event, PackFrames):
                rows.append(event.values[:, [layout.series.index(n) for n in ("train_loss", "validation_loss")]])
            elif isinstance(event, LaneFinished):
                summaries.append(event.summary)
        losses.append(np.stack(rows))
    np.testing.assert_array_equal(*losses)
    measured = summaries[0].metrics
    assert {"dead_half_rate", "dead_half_rate/layer_02", "born_dead_rate", "died_rate", "test_error"} <= measured.keys()
    assert {"input_mean_drift/layer_02", "ics_relative/layer_02"} <= measured.keys()
    assert measured["dead_unit_rate"] <= measured["dead_half_rate"]
