"""Distributions of layers against numpy and scipy, on plain networks of single lanes."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from probe_lanes import BATCH, PlainLane, mixed_pack
from scipy import stats

from actinium.frame import layer_series
from actinium.histogram import BINS, EDGES
from workers.probes import PackProbes, distribution, probe_series, probed_pack
from workers.probes.chunk import LayerChunk
from workers.probes.distribution import PERCENTS, Distribution, stride_of

AVERAGED = 2 * BATCH
"""Examples that are counted: those asked for, in whole batches."""
PROBES = {
    "averaged_examples": 30,
    "dead_units": {"examples": 50},
    "gradient_flow": None,
    "activation_statistics": None,
    "distributions": {"of": "both"},
}


def expected(values: NDArray[np.float64], of: str) -> dict[str, float]:
    """Of a layer's values [examples, units and positions], those that count."""
    counted = values.ravel()[:: stride_of(values.shape[1], len(values))]
    shares = np.array([(counted < EDGES[0]).sum(), *np.histogram(counted, [*EDGES, np.inf])[0]]) / counted.size
    varies = counted.min() < counted.max()
    return {
        f"{of}_skew": float(stats.skew(counted)) if varies else np.nan,
        f"{of}_kurtosis": float(stats.kurtosis(counted, fisher=False)) if varies else np.nan,
        **{f"{of}_quantile_{p:02d}": float(np.quantile(counted, p / 100)) for p in PERCENTS},
        **{f"{of}_histogram_{number:02d}": float(share) for number, share in enumerate(shares)},
    }


@pytest.mark.parametrize("most", [2**16, 100], ids=["all values", "every k-th"])
@pytest.mark.parametrize("at_once", [12 * 17 * 3, 2**19], ids=["in parts", "all at once"])
@pytest.mark.parametrize(
    "model", [{"kind": "mlp", "depth": 2, "width": 12}, {"kind": "cnn", "width": 4}], ids=["mlp", "cnn"]
)
def test_distributions_are_those_of_numpy(
    model: dict[str, Any], at_once: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(probed_pack.ELEMENTS_AT_ONCE, "cpu", at_once)
    monkeypatch.setattr(distribution, "MOST_VALUES", most)
    networks, data = mixed_pack(model, ["none", "batch"], torch.float64, PROBES)
    series = probe_series(networks.configs[0])
    measured = PackProbes(configs=networks.configs, model=networks, data=data).measure(0)
    for number, config in enumerate(networks.configs):
        index = data.train[number, :AVERAGED]
        lane = PlainLane(networks, number)
        lane.as_trained((data.inputs[index] * data.scale[number] + data.shift[number]).double())
        seen = dict(zip(series, measured[number].tolist(), strict=True))
        for of, tensors in (("activation", lane.h), ("preactivation", lane.z)):
            for layer, tensor in enumerate(tensors, start=1):
                for name, value in expected(tensor.detach().flatten(1).numpy(), of).items():
                    message = f"{layer_series(name, layer)} of {config.run_name()}"
                    found = seen[layer_series(name, layer)]
                    np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-6, err_msg=message)


def chunk_of(values: torch.Tensor) -> LayerChunk:
    """A chunk whose outputs are these, [L, B, N]."""
    return LayerChunk(
        preactivation=values,
        activation=values,
        derivative=torch.ones_like,
        lane_axis=0,
    )


def test_bins_are_symmetric_share_out_all_values_and_hold_their_lower_edge() -> None:
    assert len(BINS) == 34 and EDGES[16] == 0.0 and EDGES[-1] == pytest.approx(20.0)
    assert all(a == pytest.approx(-b) for a, b in zip(EDGES, reversed(EDGES), strict=True))
    quantity = Distribution("activation", lambda chunk: chunk.activation, examples=4)
    quantity.add(chunk_of(torch.tensor([[[-1e9, -0.0], [0.0, EDGES[17]], [1.0, 20.5], [1e9, -1e-9]]]).double()))
    found = quantity.by_layer()
    held = {number: found[f"activation_histogram_{number:02d}"].item() * 8 for number in range(34)}
    assert {number: share for number, share in held.items() if share} == {0: 1, 16: 1, 17: 2, 18: 1, 25: 1, 33: 2}


def test_a_gaussians_shape_is_the_closed_form_and_a_constant_layer_has_none() -> None:
    quantity = Distribution("activation", lambda chunk: chunk.activation, examples=500)
    normal = torch.randn(1, 500, 100, generator=torch.Generator().manual_seed(3))
    quantity.add(chunk_of(torch.cat([normal, torch.full((1, 500, 100), 0.1)])))
    found = quantity.by_layer()
    assert found["activation_skew"][0].item() == pytest.approx(0.0, abs=0.05)
    assert found["activation_kurtosis"][0].item() == pytest.approx(3.0, abs=0.1)
    assert found["activation_quantile_85"][0].item() == pytest.approx(1.0364, abs=0.03)
    assert found["activation_skew"][1].isnan() and found["activation_kurtosis"][1].isnan()
    assert found["activation_quantile_01"][1].item() == pytest.approx(0.1)


@pytest.mark.parametrize(("values", "examples"), [(128, 256), (16 * 1024, 256), (3 * 5 * 7, 10_000), (2**20, 2048)])
def test_every_kth_value_visits_all_units_and_is_bounded(values: int, examples: int) -> None:
    stride = stride_of(values, examples)
    assert values * examples / stride <= distribution.MOST_VALUES + 1
    assert np.gcd(stride, values) == 1
    assert (stride == 1) == (values * examples <= distribution.MOST_VALUES)
