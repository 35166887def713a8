"""Every probe against a slow and obvious oracle: one lane at a time, plain torch.nn.functional, loops over units.

Networks are looked at as they are trained: the oracle passes one batch of the training's size after the other, in
training mode, and puts what it sees one behind the other.

The oracle shares no code with the product: it builds its own network of a lane's parameters, gets derivatives from
autograd and singular values from `svdvals`.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from probe_lanes import BATCH, CNN_NORMALIZATIONS, MLP_NORMALIZATIONS, PlainLane, mixed_pack
from torch import Tensor
from torch.nn import functional

from actinium.frame import layer_series
from actinium.trial import TrialConfig
from workers.models import build_model
from workers.models.convolutional import LaneConvolutional
from workers.models.mlp import LaneMlp
from workers.probes import PackProbes, probe_series, probed_pack
from workers.training.batches import PackData, pack_data
from workers.training.evaluation import with_precise_statistics

PROBES = {
    "averaged_examples": 30,
    "dead_units": {"epsilon": 0.02, "dormant_tau": 0.3, "examples": 50},
    "gradient_flow": {"examples": 25},
    "activation_statistics": {"rank_points": 2},
    "unit_states": {"constant": 0.05, "blocked": 0.05, "dormant_taus": [0.0, 0.6]},
    "sparsity": {},
    "spectrum": {"share": 0.8},
    "weights": {"examples": 40},
}
WHOLE = ("dead_unit_rate", "off_rate", "pinned_negative_rate", "pinned_positive_rate")
LAYER_MEANS = (
    "effective_rank",
    "stable_rank",
    "srank",
    "lifetime_sparsity",
    "lifetime_hoyer",
    "population_sparsity",
    "population_hoyer",
    "zero_share",
)
"""Of layers; the network's is their mean."""
RATES = (*WHOLE, "saturated_rate", "dormant_rate_0.3", "dormant_rate_0", "dormant_rate_0.6", "activation_rate")
EXAMPLES, AVERAGED, FLOW = 50, 40, 40
"""Of the probe set; and of its first ones, in whole batches of 20, those of means (30 are asked for) and gradients."""


# ---- what each series should be ------------------------------------------------------------------------------------


def units_of(values: Tensor) -> list[list[float]]:
    """[B, C, ...] as a list of numbers for each unit."""
    return [values[:, unit].flatten().tolist() for unit in range(values.shape[1])]


def share(flags: Iterator[bool] | list[bool]) -> float:
    listed = list(flags)
    return sum(listed) / len(listed)


def expected_of_layer(lane: PlainLane, number: int) -> dict[str, Any]:
    """Per-unit flags and layer values of hidden layer `number` (from 0), after a pass over the probe set."""
    probe = lane.config.probes.dead_units
    assert probe is not None
    function = lane.activation(f"layer_{number + 1:02d}")
    z = lane.z[number].detach().requires_grad_()
    (derivative,) = torch.autograd.grad(function(z).sum(), z)
    zs, hs, slopes = units_of(z.detach()), units_of(lane.h[number].detach()), units_of(derivative)
    wide = torch.linspace(-30, 30, 60_001, dtype=torch.float64)
    channels = z.shape[1]
    grid = wide[:, None].repeat(1, channels).requires_grad_()
    steepest = torch.autograd.grad(function(grid).sum(), grid)[0].abs().amax(0).tolist()
    sizes = [sum(abs(h) for h in unit) / len(unit) for unit in hs]
    mean_size = sum(sizes) / len(sizes)
    rectifies = lane.config.activation.name in ("relu", "leaky_relu", "prelu", "elu")
    flat = lane.h[number].detach().movedim(1, -1).flatten(0, -2)
    spectrum = torch.linalg.svdvals(flat)
    p = [s / float(spectrum.sum()) for s in spectrum.tolist() if s > 0]
    return {
        "dead_unit_rate": [max(abs(d) for d in unit) < probe.epsilon for unit in slopes],
        "off_rate": [max(unit) <= 0 if rectifies else math.nan for unit in hs],
        "saturated_rate": [
            share(abs(d) < probe.epsilon * peak for d in unit) for unit, peak in zip(slopes, steepest, strict=True)
        ],
        "dormant_rate_0.3": [size <= probe.dormant_tau * mean_size for size in sizes],
        "activation_rate": [share(value > 0 for value in unit) for unit in zs],
        "activation_mean": float(flat.mean()),
        "activation_std": float(flat.std(correction=0)),
        "effective_rank": math.exp(-sum(q * math.log(q) for q in p)),
        "pinned_negative_rate": [all(value < 0 for value in unit) for unit in zs],
        "pinned_positive_rate": [all(value > 0 for value in unit) for unit in zs],
        "ranges": [max(unit) - min(unit) for unit in hs],
        "rms": float(flat.square().mean().sqrt()),
        "dormant_rate_0": [size <= 0 for size in sizes],
        "dormant_rate_0.6": [size <= 0.6 * mean_size for size in sizes],
        "zero_share": share(h == 0 for unit in hs for h in unit),
        "lifetime_sparsity": mean_known(treves_rolls(unit) for unit in hs),
        "lifetime_hoyer": mean_known(hoyer(unit) for unit in hs),
        "population_sparsity": mean_known(treves_rolls(row) for row in flat.tolist()),
        "population_hoyer": mean_known(hoyer(row) for row in flat.tolist()),
        "stable_rank": float(spectrum.square().sum() / spectrum[0].square()),
        "srank": next(k for k in range(1, len(spectrum) + 1) if spectrum[:k].sum() >= 0.8 * spectrum.sum()),
    }


def treves_rolls(values: list[float]) -> float:
    sizes = np.abs(values)
    if not sizes.any():
        return math.nan
    return float((1 - sizes.mean() ** 2 / (sizes**2).mean()) / (1 - 1 / len(sizes)))


def hoyer(values: list[float]) -> float:
    sizes = np.abs(values)
    if not sizes.any():
        return math.nan
    root = math.sqrt(len(sizes))
    return float((root - sizes.sum() / np.linalg.norm(sizes)) / (root - 1))


def mean_known(values: Iterator[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def expected_of_weights(lane: PlainLane, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Norms, slopes and cosines, by loops over filters."""
    values: dict[str, float] = {}
    layers = [name for name in lane.tensors if name != "classifier"]
    for layer in layers:
        lane.tensors[layer]["weight"].requires_grad_()
    functional.cross_entropy(lane.as_trained(x[:FLOW]), labels[:FLOW]).backward()
    for number, layer in enumerate(layers, start=1):
        weight = lane.tensors[layer]["weight"]
        assert weight.grad is not None
        flat = weight.detach() if lane.config.model.kind == "cnn" else weight.detach().T
        filters = [part / np.linalg.norm(part) for part in flat.flatten(1).numpy()]
        least = [min(float(one @ other) for other in filters if other is not one) for one in filters]
        slope = lane.tensors[layer]["slope"] if lane.config.activation.name == "prelu" else torch.tensor([math.nan])
        found = {
            "weight_norm": float(weight.detach().square().sum().sqrt()),
            "weight_gradient_rms": float(weight.grad.square().mean().sqrt()),
            "weight_gradient_share": float(weight.grad.norm() / weight.detach().norm()),
            "learned_slope": float(
                (slope[:1] if lane.config.activation.parameters.get("per") == "layer" else slope).mean()
            ),
            "opposite_cosine": sum(least) / len(least),
        }
        values |= {layer_series(name, number): value for name, value in found.items()}
    return values


def dead_share(lane: PlainLane) -> float:
    """Of all hidden units, in the last pass; by a loop over units."""
    layers = [expected_of_layer(lane, number)["dead_unit_rate"] for number in range(len(lane.z))]
    return share([flag for layer in layers for flag in layer])


def expected_otherwise(
    networks: LaneMlp | LaneConvolutional, number: int, x: Tensor, train: Tensor
) -> dict[str, float]:
    """Dead units of lane `number` in eval mode, on the probe set x: by running statistics, and by those of the whole
    training part `train`, which is one batch of at most 256.
    """
    if networks.configs[number].normalization.name != "batch":
        return {"dead_unit_rate_running": math.nan, "dead_unit_rate_recomputed": math.nan}
    lane = PlainLane(networks, number)
    lane(x, training=False)
    running = dead_share(lane)
    lane.recompute_statistics([train])
    lane(x, training=False)
    return {"dead_unit_rate_running": running, "dead_unit_rate_recomputed": dead_share(lane)}


def expected(lane: PlainLane, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Every series of a lane that is looked at as it is trained."""
    lane.as_trained(x)
    whole = [expected_of_layer(lane, number) for number in range(len(lane.z))]
    lane.as_trained(x[:AVERAGED])
    layers = [
        {**expected_of_layer(lane, number), **{name: whole[number][name] for name in WHOLE}}
        for number in range(len(lane.z))
    ]
    for everywhere, layer in zip(whole, layers, strict=True):
        layer["constant_rate"] = [width <= 0.05 * layer["rms"] for width in everywhere["ranges"]]
    values: dict[str, float] = {}
    for name in (*RATES, "constant_rate"):
        values[name] = float(np.mean([flag for layer in layers for flag in layer[name]]))
        for number, layer in enumerate(layers, start=1):
            values[layer_series(name, number)] = float(np.mean(layer[name]))
    for name in ("activation_mean", "activation_std", *LAYER_MEANS):
        for number, layer in enumerate(layers, start=1):
            values[layer_series(name, number)] = layer[name]
    for name in LAYER_MEANS:
        values[name] = mean_known(layer[name] for layer in layers)
    wholly = [all(layer["dead_unit_rate"]) for layer in layers]
    values["dead_layers"] = sum(wholly)
    values |= {layer_series("layer_dead", number): float(flag) for number, flag in enumerate(wholly, start=1)}
    logits = lane.as_trained(x)
    ranges = logits.amax(0) - logits.amin(0)
    values["network_constant"] = float(all(ranges <= 0.05 * logits[:AVERAGED].square().mean().sqrt()))
    functional.cross_entropy(logits, labels, reduction="sum").backward()
    blocked: list[list[bool]] = []
    for number, gradient in enumerate(lane.arriving()):
        arriving = [max(abs(value) for value in unit) for unit in units_of(gradient)]
        dead = layers[number]["dead_unit_rate"]
        blocked.append([most < 0.05 and not gone for most, gone in zip(arriving, dead, strict=True)])
        values[layer_series("blocked_rate", number + 1)] = share(blocked[-1])
    values["blocked_rate"] = share([flag for flags in blocked for flag in flags])

    logits = lane.as_trained(x[:FLOW])
    functional.cross_entropy(logits, labels[:FLOW]).backward()
    rms = [math.sqrt(float(gradient.square().mean())) for gradient in lane.arriving()]
    values |= {layer_series("gradient_rms", number): value for number, value in enumerate(rms, start=1)}
    values |= expected_of_weights(lane, x, labels)
    if all(value > 0 for value in rms):
        values["gradient_slope"] = -float(np.polyfit(range(len(rms)), np.log(rms), 1)[0])
    else:
        values["gradient_slope"] = math.nan
    return values


# ---- packs ------------------------------------------------------------------------------------------------------


def rounding_only(wanted: dict[str, float]) -> bool:
    """Whether some layer's gradient is what rounding leaves of zero, as behind a mean over what has a fixed mean."""
    rms = [value for name, value in wanted.items() if name.startswith("gradient_rms/")]
    return 0 < min(rms) < 1e-12 * max(rms)


def compare(networks: LaneMlp | LaneConvolutional, data: PackData, *, relative: float) -> dict[str, np.ndarray]:
    """Assert that every series of every lane is the oracle's; the measured values by name."""
    series = probe_series(networks.configs[0])
    probes = PackProbes(configs=networks.configs, model=networks, data=data)
    measured = probes.measure(0)
    assert measured.shape == (len(networks.configs), len(series))
    seen = dict(zip(series, measured.T, strict=True))
    otherwise = probes.by_other_statistics(networks, with_precise_statistics(networks, data))
    seen |= {name: rates.numpy() for name, rates in otherwise.items()}
    for lane, config in enumerate(networks.configs):
        index = data.train[lane, :EXAMPLES]
        laid_out = torch.cat([index, index[: -EXAMPLES % BATCH]])
        x, once, train = (
            (data.inputs[i] * data.scale[lane] + data.shift[lane]).double() for i in (laid_out, index, data.train[lane])
        )
        wanted = expected(PlainLane(networks, lane), x, data.labels[laid_out])
        wanted |= expected_otherwise(networks, lane, once, train)
        for name, values in seen.items():
            if name == "gradient_slope" and rounding_only(wanted):
                continue
            message = f"{name} of {config.run_name()}"
            np.testing.assert_allclose(values[lane], wanted[name], rtol=relative, atol=1e-6, err_msg=message)
    return seen


def as_double(networks: LaneMlp | LaneConvolutional) -> None:
    """The lanes' parameters as the oracle takes them."""
    networks.params = {name: tensor.detach().double() for name, tensor in networks.params.items()}
    networks.statistics = {name: tensor.double() for name, tensor in networks.statistics.items()}


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 12 * 17 * 3, 2**19], ids=["one by one", "in parts", "all at once"])
@pytest.mark.parametrize(
    ("model", "normalizations"),
    [
        ({"kind": "mlp", "depth": 3, "width": 12}, MLP_NORMALIZATIONS),
        ({"kind": "mlp", "depth": 3, "width": 12, "residual": True}, ["none", "batch"]),
        ({"kind": "cnn", "width": 4}, CNN_NORMALIZATIONS),
    ],
    ids=["mlp", "residual", "cnn"],
)
def test_every_series_is_the_oracles(
    model: dict[str, Any], normalizations: list[Any], at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if at_once == 1 and (model["kind"] == "cnn" or "residual" in model):
        normalizations = normalizations[:1]  # the slow way, once is enough
    monkeypatch.setitem(probed_pack.ELEMENTS_AT_ONCE, "cpu", at_once)
    seen = compare(*mixed_pack(model, normalizations, torch.float64, PROBES), relative=1e-6)
    for name in (*RATES, "constant_rate", "zero_share", "blocked_rate"):
        assert np.nanmax(seen[name]) > np.nanmin(seen[name]) >= 0, f"{name} was put to the test"
    assert 0 < np.nanmax(seen["dead_unit_rate"]) < 1
    three = [seen[name] for name in ("dead_unit_rate", "dead_unit_rate_running", "dead_unit_rate_recomputed")]
    known = np.isfinite(three[1])
    if known.any() and model["kind"] == "mlp":  # the cnn has few units
        assert all((one[known] != other[known]).any() for one, other in itertools.combinations(three, 2))


def test_float32_keeps_the_effective_rank_and_the_moments() -> None:
    networks, data = mixed_pack({"kind": "mlp", "depth": 3, "width": 12}, ["none", "layer"], torch.float32, PROBES)
    measured = PackProbes(configs=networks.configs, model=networks, data=data).measure(0)
    as_double(networks)
    data = replace(data, inputs=data.inputs.double(), shift=data.shift.double(), scale=data.scale.double())
    exact = PackProbes(configs=networks.configs, model=networks, data=data).measure(0)
    np.testing.assert_allclose(measured, exact, rtol=2e-4, atol=1e-5)


def test_float32_sees_small_changes_about_a_large_mean() -> None:
    """A deep stack of sigmoids: outputs near 1/2 that hardly vary, and a spectrum of six decades."""
    config = TrialConfig.model_validate(
        {
            "model": {"kind": "mlp", "depth": 8, "width": 64},
            "activation": "sigmoid",
            "initialization": "xavier",
            "probes": {"gradient_flow": None, "averaged_examples": 1079},
        }
    )
    networks = build_model([config])
    data = pack_data([config], lane_axis=0, device="cpu", data_root=None)
    seen = dict(
        zip(
            probe_series(config),
            PackProbes(configs=[config], model=networks, data=data).measure(0)[0],
            strict=True,
        )
    )
    networks = build_model([config], dtype=torch.float64)
    laid_out = torch.cat([data.train[0], data.train[0, : -1079 % 64]])  # whole batches of 64
    x = (data.inputs.double()[laid_out] - (-data.shift / data.scale).double()[0]) * data.scale.double()[0]
    lane = PlainLane(networks, 0)
    lane(x, training=False)
    for number in range(8):
        h = lane.h[number].detach()
        spectrum = torch.linalg.svdvals(h)
        p = spectrum / spectrum.sum()
        rank = math.exp(-float((p * p.log()).sum()))
        np.testing.assert_allclose(seen[layer_series("effective_rank", number + 1)], rank, rtol=5e-3)
        np.testing.assert_allclose(seen[layer_series("activation_std", number + 1)], h.std(correction=0), rtol=1e-4)
