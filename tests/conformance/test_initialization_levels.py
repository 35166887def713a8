"""Every initialization against torch.nn.init's variances, its paper's properties, and closed forms (SCIENCE A3, C13).

Each level is registered once, in LEVELS. Legend: L residual blocks, n width.
"""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor
from torch.nn import functional

from actinium.levels import INITIALIZATIONS, Activation, Initialization
from actinium.trial import Cnn, Mlp, Task, Training, TrialConfig
from workers.initializations.lsuv import output_deviations, scale_to_unit_variance
from workers.initializations.weights import INITIALIZERS, asymmetric_start, initial_weight, uniform_of
from workers.models import build_model
from workers.models.lanes import PackedNetworks
from workers.models.slices import lane_order
from workers.models.start import base_draws
from workers.seeding import generator
from workers.training.batches import epoch_order, pack_data
from workers.training.train import Pack

LEVELS: dict[str, list[object]] = {
    "zero": ["zero"],
    "normal": ["normal", "small", "large", {"name": "normal", "std": 0.3}],
    "lecun": ["lecun", {"name": "lecun", "distribution": "uniform"}],
    "xavier": [
        {"name": "xavier", "mode": mode, "distribution": shape}
        for mode in ("average", "fan_in", "fan_out")
        for shape in ("normal", "uniform")
    ],
    "he": [{"name": "he", "mode": mode, "negative_slope": 0.25} for mode in ("average", "fan_in", "fan_out")],
    "orthogonal": ["orthogonal"],
    "lsuv": ["lsuv"],
    "rai": ["rai"],
    "fixup": ["fixup", {"name": "fixup", "mode": "fan_out"}],
    "greedy_autoencoder": ["greedy_autoencoder", {"name": "greedy_autoencoder", "start": "he"}],
    "transfer": ["transfer", {"name": "transfer", "start": "small"}],
    "delta_orthogonal": ["delta_orthogonal", {"name": "delta_orthogonal", "gain": 1.4}],
}
CASES = [document for documents in LEVELS.values() for document in documents]
SHAPES = [(40, 60), (60, 40), (24, 8, 3, 3), (8, 24, 3, 3)]


def test_every_level_is_tested() -> None:
    assert set(LEVELS) == set(INITIALIZATIONS) == set(INITIALIZERS)


@pytest.mark.parametrize("name", LEVELS)
def test_the_catalogue_has_equation_and_citation(name: str) -> None:
    assert INITIALIZATIONS[name].equation and INITIALIZATIONS[name].citation


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("document", CASES, ids=lambda document: Initialization.of(document).label())
def test_weights_have_the_shape_and_are_the_draws_own(document: object, shape: tuple[int, ...]) -> None:
    """Deterministic, of the draws' type, finite, and no two layers of a trial have the same."""
    level = Initialization.of(document)
    draws = base_draws(0, 1, shape)
    weight = initial_weight(draws, level)
    assert weight.shape == shape and weight.dtype == draws.dtype and bool(weight.isfinite().all())
    assert torch.equal(weight, initial_weight(draws.clone(), level))
    if level.name != "zero":
        assert not torch.equal(weight, initial_weight(base_draws(0, 2, shape), level))


@pytest.mark.parametrize("document", CASES, ids=lambda document: Initialization.of(document).label())
@pytest.mark.parametrize("shape", [(200, 300), (64, 32, 3, 3)], ids=str)
def test_the_variance_is_that_of_torchs_rule(document: object, shape: tuple[int, ...]) -> None:
    """torch.nn.init on a weight in torch's layout ([out, in, ...]), 18,000 draws and more: 5% of the variance."""
    level = Initialization.of(document)
    torch_weight = torch.empty(shape if len(shape) == 4 else shape[::-1])
    mode, shape_of = level.parameters.get("mode"), level.parameters.get("distribution")
    torch.manual_seed(0)
    match level.name:
        case "normal":
            torch.nn.init.normal_(torch_weight, std=level.number("std"))
        case "xavier" if mode == "average":
            (torch.nn.init.xavier_uniform_ if shape_of == "uniform" else torch.nn.init.xavier_normal_)(torch_weight)
        case "lecun" | "xavier":
            fan = str(mode or "fan_in")
            torch.nn.init.kaiming_normal_(torch_weight, mode=fan, nonlinearity="linear")
        case "he" if mode != "average":
            torch.nn.init.kaiming_normal_(torch_weight, a=0.25, mode=str(mode))
        case _:
            return
    weight = initial_weight(base_draws(0, 1, shape), level)
    assert float(weight.var()) == pytest.approx(float(torch_weight.var()), rel=0.05)
    if shape_of == "uniform":
        assert float(weight.abs().max()) <= math.sqrt(3.0 * float(weight.var())) * 1.03


def test_half_the_fans_sum_lies_between_the_fans() -> None:
    draws = base_draws(0, 1, (200, 300))
    variances = {
        mode: float(initial_weight(draws, Initialization.of({"name": "he", "mode": mode})).var())
        for mode in ("fan_in", "fan_out", "average")
    }
    assert 1 / variances["average"] == pytest.approx((1 / variances["fan_in"] + 1 / variances["fan_out"]) / 2, rel=1e-4)


def test_small_and_large_are_standard_deviations() -> None:
    assert (
        Initialization.of("small") == Initialization.of("normal") == Initialization.of({"name": "normal", "std": 0.01})
    )
    assert Initialization.of("large") == Initialization.of({"name": "normal", "std": 1.0})
    assert Initialization.of("large").model_dump() == {"name": "normal", "std": 1.0}
    assert Initialization.of({"name": "large", "std": 2.0}).number("std") == 2.0
    with pytest.raises(ValidationError, match="no initialization is called 'medium'"):
        Initialization.of("medium")


def test_scaled_rules_share_their_draws() -> None:
    """SCIENCE A3: weights of one seed and layer differ by a factor, uniform ones by a monotone map as well."""
    draws = base_draws(5, 1, (30, 20))
    unit = draws / draws.norm()
    for document in ("small", "large", "lecun", "xavier", "he", {"name": "he", "mode": "fan_out"}):
        weight = initial_weight(draws, Initialization.of(document))
        torch.testing.assert_close(weight / weight.norm(), unit)
    weight = initial_weight(draws, Initialization.of({"name": "lecun", "distribution": "uniform"}))
    torch.testing.assert_close(weight / weight.norm(), uniform_of(draws) / uniform_of(draws).norm())


@pytest.mark.parametrize("document", ["orthogonal", "delta_orthogonal", "lsuv"])
@pytest.mark.parametrize("seed", range(3))
def test_every_singular_value_is_one(document: str, seed: int) -> None:
    """C13: of a matrix, and of a kernel's centre."""
    level = Initialization.of(document)
    for shape in SHAPES:
        weight = initial_weight(base_draws(seed, 1, shape), level)
        matrix = weight if weight.dim() == 2 else weight.flatten(1)
        if document == "delta_orthogonal" and weight.dim() == 4:
            matrix = weight[:, :, 1, 1]
            assert int((weight != 0).sum()) == matrix.numel(), "only the centre is not zero"
        values = torch.linalg.svdvals(matrix.double())
        torch.testing.assert_close(values, torch.ones_like(values), rtol=1e-5, atol=1e-5)


def test_a_delta_orthogonal_convolution_keeps_every_positions_norm() -> None:
    """Xiao et al. 2018: with as many channels out as in or more, and zero padding, each pixel is only rotated."""
    level = Initialization.of("delta_orthogonal")
    weight = initial_weight(base_draws(0, 1, (24, 8, 3, 3)), level)
    x = torch.randn(4, 8, 6, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(functional.conv2d(x, weight, padding=1).norm(dim=1), x.norm(dim=1))


def test_delta_orthogonal_weights_need_kernels() -> None:
    level = Initialization.of("delta_orthogonal")
    assert TrialConfig(model=Cnn(), initialization=level).invalid_design() is None
    assert "need kernels" in str(TrialConfig(model=Mlp(), initialization=level).invalid_design())


def test_residual_variance_doubles_with_every_block() -> None:
    """C13: h + W phi(h), He, ReLU: E |h_L|^2 = 2^L E |h_0|^2; h + W2 phi(W1 h): 3^L. Symmetric h_0, zero biases."""
    width, blocks, he = 400, 6, Initialization.of("he")

    def weight(layer: int) -> Tensor:
        return initial_weight(base_draws(seed, layer, (width, width)), he)

    one, two = [], []
    for seed in range(6):
        h = g = torch.randn(64, width, generator=torch.Generator().manual_seed(seed))
        start = h.square().mean()
        for block in range(1, blocks + 1):
            h = h + h.relu() @ weight(block)
            g = g + (g @ weight(10 + 2 * block)).relu() @ weight(11 + 2 * block)
        one.append(float((h.square().mean() / start).log2()) / blocks)
        two.append(float((g.square().mean() / start).log()) / blocks)
    assert 2 ** (sum(one) / len(one)) == pytest.approx(2.0, rel=0.03)
    assert math.exp(sum(two) / len(two)) == pytest.approx(3.0, rel=0.03)


def config_of(document: object, model: Mlp | Cnn, seed: int = 0) -> TrialConfig:
    return TrialConfig(model=model, initialization=Initialization.of(document), seed=seed)


@pytest.mark.parametrize("model", [Mlp(depth=2, width=12), Cnn(width=4)], ids=lambda model: model.kind)
def test_a_lane_starts_alone_as_in_company(model: Mlp | Cnn) -> None:
    configs = [config_of(document, model, seed=number % 2) for number, document in enumerate(CASES)]
    configs = [configs[lane] for lane in lane_order(configs)]
    company = build_model(configs)
    for lane, config in enumerate(configs):
        for name, tensor in build_model([config]).params.items():
            assert torch.equal(tensor[0], company.params[name][lane]), (config.run_name(), name)


# ---- layer-sequential unit variance -------------------------------------------------------------------------------


def lsuv_config(activation: str, model: Mlp | Cnn, document: object = "lsuv", seed: int = 0) -> TrialConfig:
    return config_of(document, model, seed).model_copy(
        update={
            "activation": Activation.of(activation),
            "training": Training(batch_size=32, epochs=1),
            "task": Task(train_examples=96),
        }
    )


def pack_of(configs: list[TrialConfig]) -> tuple[list[TrialConfig], PackedNetworks]:
    """A pack as it stands before its first step, in the model's order."""
    pack = Pack(configs, device="cpu", data_root=None, clock=lambda: 0.0)
    return list(pack._model.configs), pack._model


@pytest.mark.parametrize("model", [Mlp(depth=8, width=24), Cnn(width=6)], ids=lambda model: model.kind)
def test_every_layer_starts_with_unit_variance_on_the_first_batch(model: Mlp | Cnn) -> None:
    """Each lane by itself, on its own first batch; lanes of other rules stay as they are drawn."""
    levels = [("relu", "lsuv"), ("tanh", "lsuv"), ("relu", "he"), ("sigmoid", "lsuv"), ("relu", "orthogonal")]
    configs = [lsuv_config(phi, model, rule, seed=number) for number, (phi, rule) in enumerate(levels)]
    ordered, networks = pack_of(configs)
    data = pack_data(ordered, lane_axis=networks.lane_axis, device="cpu", data_root=None)
    inputs = data.take(epoch_order(data, ordered, 0)[:, :32])[0]
    drawn = build_model(ordered)
    deviations = torch.stack(output_deviations(networks, inputs), 1)
    for lane, config in enumerate(ordered):
        scaled = config.initialization.name == "lsuv"
        assert bool(((deviations[lane] - 1.0).abs() < 0.1).all()) == scaled, (config.run_name(), deviations[lane])
        for name, tensor in networks.params.items():
            before, after = drawn.params[name][lane], tensor[lane]
            if scaled and name.endswith("weight"):
                torch.testing.assert_close(after / after.norm(), before / before.norm())
            else:
                assert torch.equal(after, before), (config.run_name(), name)


def test_lsuv_lanes_start_alone_as_in_company() -> None:
    configs = [lsuv_config(phi, Mlp(depth=4, width=16), seed=seed) for phi in ("relu", "elu") for seed in (0, 1)]
    ordered, company = pack_of(configs)
    for lane, config in enumerate(ordered):
        _, alone = pack_of([config])
        for name, tensor in alone.params.items():
            torch.testing.assert_close(company.params[name][lane], tensor[0])


def test_a_layer_within_the_tolerance_is_left_and_no_layer_is_tried_without_end() -> None:
    """With a tolerance of 1 nothing below 2 is touched; a layer without any variance stays as it is."""
    wide = {"name": "lsuv", "tolerance": 1.0}
    model = build_model([lsuv_config("tanh", Mlp(depth=3, width=16), wide)])
    before = {name: tensor.detach().clone() for name, tensor in model.params.items()}
    inputs = torch.randn(1, 32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    scale_to_unit_variance(model, inputs)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.params.items())
    strict = build_model([lsuv_config("tanh", Mlp(depth=3, width=16))])
    scale_to_unit_variance(strict, torch.zeros_like(inputs))
    assert all(bool(tensor.isfinite().all()) for tensor in strict.params.values())


# ---- randomized asymmetric initialization -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 4000), (4000, 3, 3, 3)], ids=str)
def test_one_entry_of_every_unit_is_from_a_beta_distribution(shape: tuple[int, ...]) -> None:
    """Beta(2, 1) at a place that is uniform over weights and bias; all else is the normal part, on the common draws."""
    draws, level = base_draws(0, 1, shape), Initialization.of("rai")
    weight, bias = asymmetric_start(draws, level, generator(0, "asymmetry"))
    assert weight.shape == shape and bias.shape == (4000,)
    plain = initial_weight(draws, level)
    rows, plain_rows = (t.T if t.dim() == 2 else t.flatten(1) for t in (weight, plain))
    changed = rows != plain_rows
    fan_in = rows.shape[1]
    assert int(changed.sum(1).max()) == 1
    in_bias = ~changed.any(1)
    assert float(in_bias.float().mean()) == pytest.approx(1 / (fan_in + 1), abs=0.01)
    chosen = torch.cat([rows[changed], bias[in_bias]]).numpy()
    assert stats.kstest(chosen, stats.beta(2, 1).cdf).pvalue > 1e-3
    others = bias[~in_bias] * math.sqrt(fan_in) / 0.6007
    assert stats.kstest(others.numpy(), stats.norm.cdf).pvalue > 1e-3
    places = changed.float().argmax(1)[~in_bias].bincount(minlength=fan_in)
    assert stats.chisquare(places.numpy()).pvalue > 1e-3


def test_fewer_narrow_networks_are_born_dead_than_by_hes_rule() -> None:
    """Lu et al. 2020: ten ReLU layers of width 2 on inputs of [-1, 1]. He: within C7's bounds, 3 standard errors."""
    seeds, layers, x = 400, 10, torch.linspace(-1, 1, 101).unsqueeze(1)
    dead = {"he": 0, "rai": 0}
    for seed in range(seeds):
        for name in dead:
            level, h = Initialization.of(name), x
            for layer in range(1, layers):
                draws = base_draws(seed, layer, (h.shape[1], 2))
                if name == "rai":
                    weight, bias = asymmetric_start(draws, level, generator(seed, f"asymmetry/{layer}"))
                else:
                    weight, bias = initial_weight(draws, level), torch.zeros(2)
                h = (h @ weight + bias).relu()
            dead[name] += bool((h == h[:1]).all())
    v = 1 - (1 - 2**-2) ** (layers - 2)
    low = 2**-1 * v + (1 - 2**-1) * v**2
    error = 3 * math.sqrt(0.25 / seeds)
    assert low - error <= dead["he"] / seeds <= v + error
    assert dead["rai"] < dead["he"] / 2


def test_the_normal_parts_deviation_keeps_the_second_moment_of_nonnegative_inputs() -> None:
    """Where 0.6007 comes from: with relu(G + P x) <= relu(G) + P x for x >= 0, G ~ N(0, s^2 q), P ~ Beta(2, 1),
    E x^2 = q and E x <= sqrt(q), the output's second moment is at most q (s^2 / 2 + 2 E[P] s / sqrt(2 pi) + E[P^2]); it
    is q for the positive root of s^2 + 4/3 sqrt(2 / pi) s - 1. Of He's rule the same bound, without P, gives sqrt(2).
    """
    mean, square = stats.beta(2, 1).moment(1), stats.beta(2, 1).moment(2)
    root = max(np.roots([0.5, 2.0 * mean / math.sqrt(2.0 * math.pi), square - 1.0]).real)
    default = INITIALIZATIONS["rai"].parameters["scale"].default
    assert default == pytest.approx(root, abs=5e-5)
    draws, level = base_draws(0, 1, (500, 4000)), Initialization.of("rai")
    weight, bias = asymmetric_start(draws, level, generator(0, "asymmetry"))
    for x in (torch.ones(500), torch.rand(500, generator=torch.Generator().manual_seed(0))):
        moment = float((x @ weight + bias).relu().square().mean() / x.square().mean())
        assert 0.4 < moment < 1.0


def test_a_rai_trial_has_biases_that_are_its_own() -> None:
    configs = [config_of(document, Mlp(depth=2, width=12)) for document in ("rai", "he")]
    networks = build_model([configs[lane] for lane in lane_order(configs)])
    rai = [config.initialization.name for config in networks.configs].index("rai")
    for layer in networks.hidden_names:
        assert bool((networks.params[f"{layer}.bias"][rai] != 0).all())
        assert not networks.params[f"{layer}.bias"][1 - rai].any()
    assert not networks.params["classifier.bias"].any()
