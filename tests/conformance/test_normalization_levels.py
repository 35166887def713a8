"""Every normalization with every parameter that changes what it computes, each against torch.nn or its paper.

A level is registered once, in LEVELS. In float64, so that only a wrong formula can exceed the tolerance. Legend: l
lanes, B examples, C channels, m elements of a statistic.
"""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from actinium.frame import LaneFinished, PackFrames
from actinium.levels import NORMALIZATIONS, Activation, Normalization, cancels_bias
from actinium.trial import Cnn, Mlp, Task, Training, TrialConfig
from workers.draws import StepDraws
from workers.layers import Pass
from workers.models import build_model
from workers.models.lanes import PackedNetworks
from workers.models.slices import lane_order
from workers.models.start import parameter_count
from workers.normalizations.apply import (
    Affine,
    RunningStatistics,
    keeps_statistics,
    learned_affine,
    normalize_channels,
    normalize_units,
    with_noise,
)
from workers.objectives import cross_entropy
from workers.training.batches import pack_data
from workers.training.evaluation import evaluate, with_precise_statistics
from workers.training.optimizers import OPTIMIZERS
from workers.training.train import pack_layout, train_pack

LANES, EXAMPLES, CHANNELS, SIDE = 2, 6, 8, 3
TIGHT = {"rtol": 1e-10, "atol": 1e-11}
AFFINES = ["both", "scale", "shift", "none"]
KINDS = {"units": Mlp(depth=1, width=CHANNELS), "channels": Cnn(width=CHANNELS)}

LEVELS: dict[str, Callable[[bool, int], nn.Module]] = {
    "batch": lambda conv, channels: (nn.BatchNorm2d if conv else nn.BatchNorm1d)(channels),
    "batch_renorm": lambda conv, channels: (nn.BatchNorm2d if conv else nn.BatchNorm1d)(channels),
    "noisy_batch": lambda conv, channels: (nn.BatchNorm2d if conv else nn.BatchNorm1d)(channels),
    "layer": lambda conv, channels: nn.GroupNorm(1, channels),
    "group": lambda conv, channels: nn.GroupNorm(channels // 4, channels),
    "instance": lambda conv, channels: nn.InstanceNorm2d(channels, affine=True),
}
"""torch's module by level, with statistics and affine parameters at their start: what it computes at first."""

CASES = [(name, kind) for name in LEVELS for kind in KINDS if kind == "channels" or name != "instance"]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def fresh(lanes: int, channels: int) -> RunningStatistics:
    return RunningStatistics(
        mean=torch.zeros(lanes, channels, dtype=torch.float64),
        var=torch.ones(lanes, channels, dtype=torch.float64),
        batches=torch.zeros(lanes, 1, dtype=torch.float64),
    )


def apply(level: Normalization, x: Tensor, affine: Affine | None = None, pass_: Pass | None = None) -> Tensor:
    """One pass over a slice, [l, B, N] or [B, l, C, H, W], from fresh running statistics."""
    conv = x.dim() == 5
    lanes, channels = x.shape[1 if conv else 0], x.shape[2]
    normalize = normalize_channels if conv else normalize_units
    return normalize(x, level, affine or Affine(gamma=None, beta=None), fresh(lanes, channels), pass_ or Pass.step())


def slice_of(kind: str, seed: int = 0) -> Tensor:
    shape = (EXAMPLES, LANES, CHANNELS, SIDE, SIDE) if kind == "channels" else (LANES, EXAMPLES, CHANNELS)
    return 2.0 * normal(*shape, seed=seed) + 0.7


def test_every_level_has_its_oracle() -> None:
    assert {"none", *LEVELS} == set(NORMALIZATIONS)


@pytest.mark.parametrize("name", LEVELS)
def test_the_catalogue_says_what_it_is_and_where_it_stands(name: str) -> None:
    definition = NORMALIZATIONS[name]
    assert definition.equation and definition.citation
    assert {"affine", "position", "eps"} <= set(definition.parameters)


# ---- what is learned ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_what_is_not_learned_is_torchs_at_its_start(name: str, kind: str, affine: str, training: bool) -> None:
    """Output, input gradient and the gradients of what is learned, with gamma or beta of the module frozen at 1, 0."""
    level = Normalization.of({"name": name, "affine": affine})
    x, conv = slice_of(kind).requires_grad_(), kind == "channels"
    gamma, beta = normal(LANES, CHANNELS, seed=1).requires_grad_(), normal(LANES, CHANNELS, seed=2).requires_grad_()
    y = apply(level, x, learned_affine(level, gamma, beta), Pass.step() if training else Pass.evaluation())
    cotangent = normal(*x.shape, seed=3)
    y.backward(cotangent)
    axis = 1 if conv else 0
    for lane in range(LANES):
        module = LEVELS[name](conv, CHANNELS).double().train(training)
        alone = x.detach().select(axis, lane).clone().requires_grad_()
        with torch.no_grad():
            if affine in ("both", "scale"):
                module.weight.copy_(gamma[lane])
            if affine in ("both", "shift"):
                module.bias.copy_(beta[lane])
        expected = module(alone)
        expected.backward(cotangent.select(axis, lane))
        torch.testing.assert_close(y.select(axis, lane), expected, **TIGHT)
        assert x.grad is not None
        torch.testing.assert_close(x.grad.select(axis, lane), alone.grad, **TIGHT)
        for leaf, theirs, named in ((gamma, module.weight, "scale"), (beta, module.bias, "shift")):
            if affine in ("both", named):
                assert leaf.grad is not None
                torch.testing.assert_close(leaf.grad[lane], theirs.grad, **TIGHT)
            else:
                assert leaf.grad is None


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_gradients_are_those_of_finite_differences(name: str, kind: str) -> None:
    x = slice_of(kind).requires_grad_()
    gamma, beta = normal(LANES, CHANNELS, seed=1).requires_grad_(), normal(LANES, CHANNELS, seed=2).requires_grad_()
    level = Normalization.of({"name": name, "eps": 1e-2})

    def function(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return apply(level, x, Affine(gamma=gamma, beta=beta), Pass.measuring())

    assert torch.autograd.gradcheck(function, (x, gamma, beta), fast_mode=True)


def config_of(document: object, kind: str, seed: int = 0) -> TrialConfig:
    return TrialConfig(
        model=KINDS[kind],
        normalization=Normalization.of(document),
        activation=Activation.of("tanh"),
        training=Training(batch_size=EXAMPLES, learning_rate=0.5),
        seed=seed,
    )


def batch_of(model_lanes: int, lane_axis: int) -> tuple[Tensor, Tensor]:
    images = normal(EXAMPLES, 1, 1, 8, 8, seed=4).expand(-1, model_lanes, -1, -1, -1)
    labels = torch.arange(EXAMPLES).expand(model_lanes, -1)
    return images if lane_axis else images.transpose(0, 1), labels


def trained(configs: list[TrialConfig], steps: int = 3) -> tuple[dict[int, dict[str, Tensor]], list[Tensor]]:
    """A few steps of a pack in float64: every lane's tensors, and its logits in eval mode, in the order given."""
    order = lane_order(configs)
    model = build_model([configs[lane] for lane in order], dtype=torch.float64)
    stepper = OPTIMIZERS["sgd"](model.params, [config.training for config in model.configs])
    inputs, labels = batch_of(len(configs), model.lane_axis)
    for _ in range(steps):
        logits = model.forward(model.params, inputs, Pass.step())
        leaves = list(model.params.values())
        gradients = torch.autograd.grad(cross_entropy(logits, labels).sum(), leaves, materialize_grads=True)
        stepper.step(model.params, dict(zip(model.params, gradients, strict=True)))
    logits = model.forward(model.params, inputs, Pass.evaluation())
    tensors = {
        number: {name: tensor[place].detach() for name, tensor in {**model.params, **model.statistics}.items()}
        for place, number in enumerate(order)
    }
    return tensors, [logits[order.index(number)] for number in range(len(configs))]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_learned_does_not_move_nor_count(kind: str) -> None:
    names = [name for name, where in CASES if where == kind]
    configs = [config_of({"name": name, "affine": affine}, kind) for name in names for affine in AFFINES]
    tensors, _ = trained(configs)
    units = sum(channels for channels, _ in configs[0].layers())
    counts = [parameter_count(config, build_model([config]).params) for config in configs]
    for number, config in enumerate(configs):
        affine = config.normalization.parameters["affine"]
        gamma, beta = tensors[number]["layer_01.gamma"], tensors[number]["layer_01.beta"]
        assert bool((gamma != 1.0).any()) == (affine in ("both", "scale")), config.run_name()
        assert bool((beta != 0.0).any()) == (affine in ("both", "shift")), config.run_name()
        missing = {"both": 0, "scale": 1, "shift": 1, "none": 2}[str(affine)]
        assert counts[number] == counts[number - number % 4] - missing * units


@pytest.mark.parametrize("kind", KINDS)
def test_a_lane_alone_is_the_lane_in_company(kind: str) -> None:
    """Every level before and behind the activation, trained in one pack and each by itself; twice for determinism."""
    documents = [
        {"name": name, "position": position, "affine": affine}
        for name, where in CASES
        for position, affine in (("pre", "both"), ("post", "shift"))
        if where == kind
    ]
    configs = [config_of(document, kind, seed=number % 2) for number, document in enumerate(["none", *documents])]
    mixed, logits = trained(configs)
    again, _ = trained(configs)
    for number, config in enumerate(configs):
        alone, alone_logits = trained([config])
        torch.testing.assert_close(logits[number], alone_logits[0], **TIGHT)
        for name, tensor in alone[0].items():
            torch.testing.assert_close(mixed[number][name], tensor, **TIGHT)
            assert torch.equal(mixed[number][name], again[number][name])


# ---- where it stands ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "units"])
def test_a_normalization_stands_before_or_behind_the_activation(name: str, position: str) -> None:
    """One hidden layer against N(phi(Wx + b)) or phi(N(Wx + b)) of torch's modules."""
    config = config_of({"name": name, "position": position}, "units")
    model = build_model([config], dtype=torch.float64)
    with torch.no_grad():
        model.params["layer_01.bias"].copy_(normal(1, CHANNELS, seed=9))
    inputs, _ = batch_of(1, 0)
    logits = model.forward(model.params, inputs, Pass.step())
    u = inputs[0].flatten(1) @ model.params["layer_01.weight"][0] + model.params["layer_01.bias"][0]
    module = LEVELS[name](False, CHANNELS).double()
    h = torch.tanh(module(u)) if position == "pre" else module(torch.tanh(u))
    torch.testing.assert_close(logits[0], h @ model.params["classifier.weight"][0].T, **TIGHT)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("position", ["pre", "post"])
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_bias_is_left_out_where_it_has_no_effect_and_nowhere_else(
    name: str, kind: str, position: str, affine: str
) -> None:
    """A constant a channel before the layer's normalization and activation, seen or not seen in its output."""
    level = Normalization.of({"name": name, "position": position, "affine": affine})
    x, constant = slice_of(kind), normal(1, CHANNELS, seed=5)
    moved = x + (constant[:, :, None, None] if kind == "channels" else constant)

    def layer(u: Tensor) -> Tensor:
        return apply(level, u) if position == "pre" else apply(level, u.tanh())

    unseen = bool((layer(x) - layer(moved)).abs().max() < 1e-9)
    assert unseen == cancels_bias(level)
    layer_01 = build_model([config_of({"name": name, "position": position, "affine": affine}, kind)])
    layer_01.params["layer_01.bias"].data.fill_(1.0)
    assert bool((layer_01.bias(layer_01.params, "layer_01") == 0.0).all()) == unseen


# ---- closed forms (SCIENCE C9 to C12) -----------------------------------------------------------------------------

SHARP = Normalization.of({"name": "batch", "eps": 1e-14})


def test_relu_after_batch_normalization_has_the_closed_forms_rates() -> None:
    """C9: P(h > 0) = Phi(b / g), E h = g phi(b / g) + b Phi(b / g); 40,000 draws a channel, 5 standard errors."""
    gamma = torch.tensor([[1.0, 0.5, 2.0, 1.0]], dtype=torch.float64)
    beta = torch.tensor([[0.0, -0.5, 1.0, -2.0]], dtype=torch.float64)
    x = 3.0 * normal(1, 40_000, 4) + 1.0
    h = apply(SHARP, x, Affine(gamma=gamma, beta=beta)).relu()
    for channel, (g, b) in enumerate(zip(gamma[0].tolist(), beta[0].tolist(), strict=True)):
        assert float((h[0, :, channel] > 0).double().mean()) == pytest.approx(stats.norm.cdf(b / g), abs=0.0125)
        mean = g * stats.norm.pdf(b / g) + b * stats.norm.cdf(b / g)
        assert float(h[0, :, channel].mean()) == pytest.approx(mean, abs=0.025 * g)


@pytest.mark.parametrize("m", [4, 8, 32])
def test_small_batches_shape_what_they_normalize(m: int) -> None:
    """C10: x^2 / (m - 1) ~ Beta(1/2, (m - 2)/2), at m = 4 x ~ U(-sqrt 3, sqrt 3); |x| <= sqrt(m - 1); the mean of the
    batch has deviation m^-1/2, and E[sigma / s] = sqrt(m/2) Gamma((m - 2)/2) / Gamma((m - 1)/2).
    """
    x = normal(1, m, 20_000, seed=m)
    y = apply(SHARP, x)
    first = y[0, 0].numpy()
    assert stats.kstest(first**2 / (m - 1), stats.beta(0.5, (m - 2) / 2).cdf).pvalue > 1e-3
    if m == 4:
        assert stats.kstest(first, stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)).cdf).pvalue > 1e-3
    assert float(y.abs().max()) <= math.sqrt(m - 1) * (1 + 1e-9)
    inverse = (y[0, 1] - y[0, 0]) / (x[0, 1] - x[0, 0])
    mean = x[0, 0] - y[0, 0] / inverse
    assert float(mean.std()) == pytest.approx(m**-0.5, rel=0.03)
    expected = math.sqrt(m / 2) * math.gamma((m - 2) / 2) / math.gamma((m - 1) / 2)
    assert float(inverse.mean()) == pytest.approx(expected, rel=0.03)


def test_the_running_mean_errs_as_an_average_of_batches_does() -> None:
    """C10: its deviation is sigma sqrt(rho / ((2 - rho) m)), once it has forgotten its start."""
    level, m, sigma, channels = Normalization.of({"name": "batch", "momentum": 0.2}), 8, 3.0, 4000
    running = fresh(1, channels)
    for step in range(60):
        x = sigma * normal(1, m, channels, seed=100 + step)
        normalize_units(x, level, Affine(gamma=None, beta=None), running, Pass.step())
    assert float(running.mean.std()) == pytest.approx(sigma * math.sqrt(0.2 / (1.8 * m)), rel=0.05)
    assert float(running.var.mean()) == pytest.approx(sigma**2, rel=0.02), "the running variance is unbiased"


def test_only_levels_of_the_batch_see_other_examples() -> None:
    for name, kind in CASES:
        level, x = Normalization.of(name), slice_of(kind)
        other = x.clone()
        example = (0,) if kind == "channels" else (slice(None), 0)
        other[example] += normal(*other[example].shape, seed=8)
        axis = 0 if kind == "channels" else 1
        rest = [apply(level, part).narrow(axis, 1, EXAMPLES - 1) for part in (x, other)]
        assert torch.equal(*rest) != keeps_statistics(level), (name, kind)


# ---- ghost batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_ghost_batches_are_normalized_each_by_itself(kind: str) -> None:
    """Against batch normalization of each ghost alone; the running statistics are the mean over the ghosts."""
    level, plain = Normalization.of({"name": "batch", "ghost_batch_size": 2}), Normalization.of("batch")
    x, axis = slice_of(kind), 0 if kind == "channels" else 1
    normalize = normalize_channels if kind == "channels" else normalize_units
    affine = Affine(gamma=normal(LANES, CHANNELS, seed=1), beta=normal(LANES, CHANNELS, seed=2))
    running, parts = fresh(LANES, CHANNELS), [fresh(LANES, CHANNELS) for _ in range(3)]
    x.requires_grad_()
    y = normalize(x, level, affine, running, Pass.step())
    ghosts = x.split(2, dim=axis)
    pairs = zip(ghosts, parts, strict=True)
    expected = torch.cat([normalize(g, plain, affine, r, Pass.step()) for g, r in pairs], dim=axis)
    torch.testing.assert_close(y, expected, **TIGHT)
    cotangent = normal(*x.shape, seed=3)
    gradients = [torch.autograd.grad(out, x, cotangent, retain_graph=True)[0] for out in (y, expected)]
    torch.testing.assert_close(*gradients, **TIGHT)
    torch.testing.assert_close(running.mean, torch.stack([r.mean for r in parts]).mean(0), **TIGHT)
    torch.testing.assert_close(running.var, torch.stack([r.var for r in parts]).mean(0), **TIGHT)


def test_a_measured_batch_that_ghosts_do_not_divide_has_no_small_ghost() -> None:
    """Seven examples in ghosts of two: three of them, of 3, 2 and 2."""
    level, plain = Normalization.of({"name": "batch", "ghost_batch_size": 2}), Normalization.of("batch")
    x = normal(1, 7, CHANNELS)
    expected = torch.cat([apply(plain, part) for part in x.split([3, 2, 2], dim=1)], dim=1)
    torch.testing.assert_close(apply(level, x), expected, **TIGHT)
    one = x[:, :1]
    torch.testing.assert_close(apply(level, x[:, :3]), apply(plain, x[:, :3]), **TIGHT)
    torch.testing.assert_close(*(apply(of, one, pass_=Pass.evaluation()) for of in (level, plain)), **TIGHT)


@pytest.mark.parametrize(
    ("document", "batch_size", "kind", "reason"),
    [
        ({"name": "batch", "ghost_batch_size": 4}, 64, "units", None),
        ({"name": "batch", "ghost_batch_size": 5}, 64, "units", "ghosts of 5 examples do not divide"),
        ({"name": "batch", "ghost_batch_size": 128}, 64, "units", "ghosts of 128 examples do not divide"),
        ({"name": "batch", "ghost_batch_size": 1}, 64, "units", "m = 1"),
        ({"name": "batch", "ghost_batch_size": 1}, 64, "channels", None),
        ("batch", 1, "units", "m = 1"),
        ("batch_renorm", 1, "units", "m = 1"),
        ("noisy_batch", 1, "units", "m = 1"),
        ("batch_renorm", 1, "channels", None),
    ],
)
def test_designs_without_two_elements_a_statistic_are_invalid(
    document: object, batch_size: int, kind: str, reason: str | None
) -> None:
    config = TrialConfig(
        model=KINDS[kind], normalization=Normalization.of(document), training=Training(batch_size=batch_size)
    )
    found = config.invalid_design()
    assert found is None if reason is None else reason in str(found)


# ---- what goes by the progress of the training --------------------------------------------------------------------


def at_step(step: int, *, steps: int = 100, seed: int = 6) -> RunningStatistics:
    return RunningStatistics(
        mean=normal(LANES, CHANNELS, seed=seed),
        var=0.5 + normal(LANES, CHANNELS, seed=seed + 1).square(),
        batches=torch.full((LANES, 1), float(step), dtype=torch.float64),
        steps=steps,
    )


@pytest.mark.parametrize("step", [0, 20, 100])
def test_batch_renormalization_is_its_papers_algorithm(step: int) -> None:
    """Ioffe 2017, algorithm 1, written out lane by lane; at step 20 of 100 both bounds are halfway."""
    level = Normalization.of(
        {"name": "batch_renorm", "r_max": 1.5, "d_max": 0.4, "ramp_start": 0.1, "r_ramp": 0.2, "d_ramp": 0.2}
    )
    x = slice_of("units").requires_grad_()
    gamma, beta = normal(LANES, CHANNELS, seed=1).requires_grad_(), normal(LANES, CHANNELS, seed=2).requires_grad_()
    running, before = at_step(step), at_step(step)
    y = normalize_units(x, level, Affine(gamma=gamma, beta=beta), running, Pass.step())
    cotangent = normal(*x.shape, seed=3)
    leaves = (x, gamma, beta)
    found = torch.autograd.grad(y, leaves, cotangent)
    share = {0: 0.0, 20: 0.5, 100: 1.0}[step]
    r_max, d_max = 1.0 + 0.5 * share, 0.4 * share
    lanes = []
    for lane in range(LANES):
        z = x[lane]
        mean, root = z.mean(0), (z.var(0, correction=0) + 1e-5).sqrt()
        running_root = (before.var[lane] + 1e-5).sqrt()
        r = (root / running_root).detach().clip(1 / r_max, r_max)
        d = ((mean - before.mean[lane]) / running_root).detach().clip(-d_max, d_max)
        lanes.append(gamma[lane] * ((z - mean) / root * r + d) + beta[lane])
        torch.testing.assert_close(running.mean[lane], 0.9 * before.mean[lane] + 0.1 * mean, **TIGHT)
        torch.testing.assert_close(running.var[lane], 0.9 * before.var[lane] + 0.1 * z.var(0), **TIGHT)
    torch.testing.assert_close(y, torch.stack(lanes), **TIGHT)
    expected = torch.autograd.grad(torch.stack(lanes), leaves, cotangent)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, **TIGHT)
    assert running.batches is not None and bool((running.batches == step + 1).all())


def test_batch_renormalization_lies_between_batch_and_running_statistics() -> None:
    """At its start it is batch normalization; without bounds its training output is its eval output."""
    level = Normalization.of({"name": "batch_renorm", "r_max": 1e6, "d_max": 1e6})
    x = slice_of("channels")
    for step, other in ((0, "batch"), (100, level)):
        quiet = Pass.measuring() if other == "batch" else Pass.evaluation()
        nothing = Affine(gamma=None, beta=None)
        y = normalize_channels(x, level, nothing, at_step(step), Pass.measuring())
        expected = normalize_channels(x, Normalization.of(other), nothing, at_step(step), quiet)
        torch.testing.assert_close(y, expected, **TIGHT)


@pytest.mark.parametrize("ghosts", [None, 3])
def test_frozen_statistics_stand_still_and_are_used(ghosts: int | None) -> None:
    level = Normalization.of({"name": "batch", "frozen_after": 0.5, "ghost_batch_size": ghosts})
    moving = Normalization.of({"name": "batch", "ghost_batch_size": ghosts})
    x, nothing = slice_of("units").requires_grad_(), Affine(gamma=None, beta=None)
    early, late, plain = at_step(49), at_step(50), at_step(49)
    y = normalize_units(x, level, nothing, early, Pass.step())
    expected = normalize_units(x, moving, nothing, plain, Pass.step())
    torch.testing.assert_close(y, expected, **TIGHT)
    torch.testing.assert_close(early.mean, plain.mean, **TIGHT)
    y = normalize_units(x, level, nothing, late, Pass.step())
    torch.testing.assert_close(y, apply_eval(moving, x, at_step(50)), **TIGHT)
    assert torch.equal(late.mean, at_step(50).mean) and torch.equal(late.var, at_step(50).var)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, (late.var + 1e-5).rsqrt().unsqueeze(1).expand_as(x), **TIGHT)


def test_a_layer_before_statistics_that_will_freeze_keeps_its_bias() -> None:
    """A running mean that stands still takes no constant away."""
    level, constant = Normalization.of({"name": "batch", "frozen_after": 0.5}), normal(1, CHANNELS, seed=5)
    x, nothing = slice_of("units"), Affine(gamma=None, beta=None)
    seen = {}
    for step in (0, 50):
        y, moved = (normalize_units(u, level, nothing, at_step(step), Pass.measuring()) for u in (x, x + constant))
        seen[step] = bool((y - moved).abs().max() > 1e-3)
    assert seen == {0: False, 50: True} and not cancels_bias(level)


def apply_eval(level: Normalization, x: Tensor, running: RunningStatistics) -> Tensor:
    return normalize_units(x, level, Affine(gamma=None, beta=None), running, Pass.evaluation())


def test_frozen_statistics_stop_in_the_middle_of_a_training() -> None:
    """Of a trial's whole training: frozen after half the steps, the running mean is what it was at that step."""
    config = config_of({"name": "batch", "frozen_after": 0.5}, "units")
    config = config.model_copy(update={"training": Training(batch_size=359, epochs=2, learning_rate=0.5)})
    assert config.steps() == 6
    model = build_model([config], dtype=torch.float64)
    inputs, _ = batch_of(1, 0)
    means = []
    for _ in range(6):
        model.forward(model.params, inputs, Pass.step())
        means.append(model.statistics["layer_01.running_mean"].clone())
    assert not torch.equal(means[1], means[2])
    assert torch.equal(means[2], means[3]) and torch.equal(means[2], means[5])


# ---- noise --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_noisy_batch_normalization_adds_noise_in_training_steps_alone(kind: str) -> None:
    """Without draws and in eval mode it is batch normalization; with them each lane has its seed's numbers."""
    noisy, plain = (
        build_model([config_of(name, kind, seed) for seed in (0, 0, 1)]) for name in ("noisy_batch", "batch")
    )
    inputs, _ = batch_of(3, noisy.lane_axis)
    inputs = inputs.float()

    def logits(model: PackedNetworks, draws: StepDraws | None, *, training: bool = True) -> Tensor:
        return model.forward(model.params, inputs, Pass(training=training, draws=draws))

    assert torch.equal(logits(noisy, None), logits(plain, None))
    assert torch.equal(logits(noisy, None, training=False), logits(plain, None, training=False))
    first, second = logits(noisy, StepDraws((0, 0, 1), 0)), logits(noisy, StepDraws((0, 0, 1), 1))
    assert not torch.allclose(first, logits(plain, None), atol=1e-2)
    assert not torch.allclose(first, second, atol=1e-2)
    torch.testing.assert_close(first[0], first[1])
    alone = noisy.narrow(2, 1)
    inputs = inputs[:, 2:] if noisy.lane_axis else inputs[2:]
    torch.testing.assert_close(logits(alone, StepDraws((1,), 0))[0], first[2])


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_is_the_papers(kind: str) -> None:
    """y = 0 and y = 1 give the term and the factor: over channels U(-.5, .5) and U(1, 1.25), over examples +-.1."""
    level, channels, examples = Normalization.of("noisy_batch"), 2000, 50
    draws = StepDraws((3,), 7, dtype=torch.float64)
    shape = (examples, 1, channels, 2, 1) if kind == "channels" else (1, examples, channels)
    axis = 1 if kind == "channels" else 0
    zero = with_noise(torch.zeros(shape), level, draws, "layer_01", slice(0, 1), lane_axis=axis).select(axis, 0)
    one = with_noise(torch.ones(shape), level, draws, "layer_01", slice(0, 1), lane_axis=axis).select(axis, 0)
    term, factor = zero, one - zero
    if kind == "channels":
        assert torch.equal(term[..., 0, 0], term[..., 1, 0])
        term, factor = term[..., 0, 0], factor[..., 0, 0]
    mu, s = term.mean(0), factor.mean(0)
    assert float((term - mu).abs().max()) < 0.2 and float((term - mu).std()) == pytest.approx(0.1 / 3**0.5, rel=0.03)
    assert float((factor - s).std()) == pytest.approx(0.1, rel=0.03)
    assert float(mu.std()) == pytest.approx(1 / 12**0.5, rel=0.05) and float(mu.mean()) == pytest.approx(0, abs=0.03)
    assert float(s.mean()) == pytest.approx(1.125, abs=0.01) and float(s.std()) == pytest.approx(
        0.25 / 12**0.5, rel=0.05
    )


def test_noisy_lanes_train_alone_as_in_company() -> None:
    """Whole trials through the training loop: a noisy lane beside others, and by itself."""
    task, training = Task(train_examples=120), Training(batch_size=12, epochs=2, learning_rate=0.05)
    configs = [
        TrialConfig(
            task=task, training=training, model=Mlp(depth=2, width=8), normalization=Normalization.of(name), seed=1
        )
        for name in ("noisy_batch", "batch", "batch_renorm", {"name": "batch", "frozen_after": 0.3})
    ]
    company, alone = losses_of(configs), [losses_of([config])[0] for config in configs]
    for ours, theirs in zip(company, alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert len({round(losses[-1], 5) for losses in company}) == 4, "four levels, four trainings"


def losses_of(configs: list[TrialConfig]) -> list[list[float]]:
    position, steps = pack_layout(configs[0]).position("evaluation_loss"), configs[0].evaluation_steps()
    losses: list[list[float]] = [[] for _ in configs]
    for event in train_pack(configs):
        if isinstance(event, PackFrames) and event.step in steps:
            for lane, row in zip(event.lanes, event.values, strict=True):
                losses[lane].append(float(row[position]))
    return losses


# ---- precise statistics -------------------------------------------------------------------------------------------


def test_precise_statistics_are_torchs_cumulative_average() -> None:
    """nn.BatchNorm1d(momentum=None) over the same training batches; the model that was given stays as it was."""
    names = ["batch", "batch_renorm", {"name": "batch", "frozen_after": 0.0}, "none"]
    configs = [config_of(name, "units", seed) for seed, name in enumerate(names)]
    configs = [configs[lane] for lane in lane_order(configs)]
    model = build_model(configs)
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    before = {name: tensor.clone() for name, tensor in model.statistics.items()}
    precise = with_precise_statistics(model, data)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.statistics.items())
    for lane, config in enumerate(configs):
        if config.normalization.name == "none":
            continue
        module = nn.BatchNorm1d(CHANNELS, momentum=None)
        batches = data.train[lane].tensor_split(math.ceil(data.train.shape[1] / 256))
        for batch in batches:
            x = data.inputs[batch] * data.scale[lane] + data.shift[lane]
            module(x.flatten(1) @ model.params["layer_01.weight"][lane])
        for ours, theirs in (("running_mean", module.running_mean), ("running_var", module.running_var)):
            torch.testing.assert_close(precise.statistics[f"layer_01.{ours}"][lane], theirs, rtol=1e-4, atol=1e-5)
    assert not torch.equal(evaluate(precise, data, data.test).loss, evaluate(model, data, data.test).loss)


def test_the_summary_has_the_error_with_precise_statistics() -> None:
    """Two steps from the start, running statistics are far off; precise ones are not."""
    training = Training(batch_size=64, epochs=1, learning_rate=0.1)
    configs = [
        TrialConfig(task=Task(train_examples=128), training=training, normalization=Normalization.of(name))
        for name in ("batch", "none")
    ]
    found = {event.lane: event.summary.metrics for event in train_pack(configs) if isinstance(event, LaneFinished)}
    assert found[0]["precise_test_error"] < found[0]["test_error"] - 0.1
    assert math.isnan(found[1].get("precise_test_error", math.nan))
