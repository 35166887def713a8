"""Every activation: registered once here, with what torch or its paper says, and covered by every test below.

Those that take channels by pairs are registered in `test_channel_levels.py`.

In float64, so that only a wrong formula can exceed a tolerance. Legend: B examples, C channels.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional
from trained import trained

from actinium.levels import ACTIVATIONS, Activation
from actinium.levels.curves import OPERATIONS as NUMPY_OPERATIONS
from actinium.levels.curves import curve
from actinium.levels.curves import gain as gain_of_formula
from actinium.levels.expression import FUNCTIONS, parse
from actinium.trial import Cnn, Mlp, Model, Probes, Schedule, Task, Training, TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, gain
from workers.activations.expressions import OPERATIONS as TORCH_OPERATIONS
from workers.activations.s_shaped import srelu_learned
from workers.draws import StepDraws
from workers.layers import Pass, Trace
from workers.models import build_model
from workers.models.lanes import PackedNetworks
from workers.models.slices import lane_order
from workers.models.start import parameter_count
from workers.training.train import pack_layout

EXAMPLES, CHANNELS = 6, 8
TIGHT = {"rtol": 1e-11, "atol": 1e-12}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A level, its `reference` (z and learned parameters in, phi(z) out), where its derivative jumps, and its moments.

    `moments`: E phi(Z), E phi(Z)^2, E phi'(Z)^2 for Z ~ N(0, 1) as published or derived (SCIENCE C1).
    """

    level: object
    reference: Callable[..., Tensor]
    kinks: tuple[float, ...] = ()
    moments: tuple[float, float, float] | None = None


def lif_rate(z: Tensor, refractory: float, time_constant: float, threshold: float, reset: float) -> Tensor:
    """Dayan & Abbott 2001, eq. 5.11, times the time constant, one number at a time."""
    rates = [
        time_constant / (refractory + time_constant * torch.log((current - reset) / (current - threshold)))
        if current > threshold
        else 0.0 * current
        for current in z.flatten()
    ]
    return torch.stack(rates).reshape(z.shape)


def s_shaped(
    z: Tensor, left_threshold: Tensor, left_slope: Tensor, right_threshold: Tensor, right_slope: Tensor
) -> Tensor:
    """Jin et al. 2016, eq. 1, as a sum of its three pieces."""
    right, left = z >= right_threshold, z <= left_threshold
    return (
        right * (right_threshold + right_slope * (z - right_threshold))
        + (~right & ~left) * z
        + (~right & left) * (left_threshold + left_slope * (z - left_threshold))
    )


BENT = {"name": "srelu", "left_threshold": -0.5, "left_slope": 0.3, "right_threshold": 1, "right_slope": 0.2}

CASES: Mapping[str, Case] = {
    "linear": Case(level="linear", reference=lambda z: z * 1.0, moments=(0, 1, 1)),
    "sigmoid": Case(level="sigmoid", reference=torch.sigmoid, moments=(0.5, 0.293379, 0.044836)),
    "tanh": Case(level="tanh", reference=torch.tanh, moments=(0, 0.394294, 0.464403)),
    "relu": Case(level="relu", reference=functional.relu, kinks=(0,), moments=(0.398942, 0.5, 0.5)),
    "leaky_relu": Case(
        level="leaky_relu",
        reference=lambda z: functional.leaky_relu(z, 0.01),
        kinks=(0,),
        moments=(0.394953, 0.50005, 0.50005),
    ),
    "leaky_relu-steep": Case(
        level={"name": "leaky_relu", "negative_slope": 0.2},
        reference=lambda z: functional.leaky_relu(z, 0.2),
        kinks=(0,),
    ),
    "prelu": Case(
        level="prelu",
        reference=lambda z, slope: functional.prelu(z, slope),
        kinks=(0,),
        moments=(0.299207, 0.53125, 0.53125),
    ),
    "rrelu": Case(level="rrelu", reference=lambda z: functional.rrelu(z, 1 / 8, 1 / 3, training=False), kinks=(0,)),
    "rrelu-wide": Case(
        level={"name": "rrelu", "lower": 0, "upper": 1},
        reference=lambda z: functional.rrelu(z, 0.0, 1.0, training=False),
        kinks=(0,),
    ),
    "srelu": Case(level="srelu", reference=s_shaped, kinks=(0, 2.5)),
    "srelu-bent": Case(level=BENT, reference=s_shaped, kinks=(-0.5, 1)),
    "srelu-crossed": Case(level={**BENT, "left_threshold": 1.5, "per": "layer"}, reference=s_shaped, kinks=(1, 1.5)),
    "elu": Case(level="elu", reference=functional.elu, moments=(0.160521, 0.644945, 0.668102)),
    "elu-shallow": Case(level={"name": "elu", "alpha": 0.7}, reference=lambda z: functional.elu(z, 0.7), kinks=(0,)),
    "elu-deep": Case(level={"name": "elu", "alpha": 1.7}, reference=lambda z: functional.elu(z, 1.7), kinks=(0,)),
    "mirrored_relu": Case(
        level="mirrored_relu",
        reference=lambda z: torch.where(z < 0, -z, 0.0),
        kinks=(0,),
        moments=(0.398942, 0.5, 0.5),
    ),
    "flipped_relu": Case(
        level="flipped_relu", reference=lambda z: -functional.relu(z), kinks=(0,), moments=(-0.398942, 0.5, 0.5)
    ),
    "rotated_relu": Case(
        level="rotated_relu",
        reference=lambda z: torch.where(z < 0, z, 0.0),
        kinks=(0,),
        moments=(-0.398942, 0.5, 0.5),
    ),
    "half_wave": Case(level="half_wave", reference=functional.relu, kinks=(0,)),
    "half_wave-subtract": Case(
        level={"name": "half_wave", "threshold": 0.5},
        reference=lambda z: functional.relu(z - 0.5),
        kinks=(0.5,),
        moments=(0.197797, 0.209639, 0.308538),
    ),
    "half_wave-gate": Case(
        level={"name": "half_wave", "threshold": 0.5, "mode": "gate"},
        reference=lambda z: functional.threshold(z, 0.5, 0.0),
        kinks=(0.5,),
    ),
    "half_squaring": Case(level="half_squaring", reference=lambda z: functional.relu(z) ** 2, moments=(0.5, 1.5, 2.0)),
    "lif": Case(level="lif", reference=lambda z: lif_rate(z, 2, 10, 1, 0), kinks=(1,)),
    "lif-slow": Case(
        level={"name": "lif", "refractory": 5, "time_constant": 20, "threshold": 0.4, "reset": -0.3, "clip": 50},
        reference=lambda z: lif_rate(z, 5, 20, 0.4, -0.3),
        kinks=(0.4,),
    ),
    "abs": Case(level="abs", reference=torch.abs, kinks=(0,), moments=(0.797885, 1, 1)),
    "abs_tanh": Case(level="abs_tanh", reference=lambda z: torch.tanh(z).abs(), kinks=(0,)),
    "gelu": Case(level="gelu", reference=functional.gelu, moments=(0.282095, 0.425221, 0.455851)),
    "silu": Case(level="silu", reference=functional.silu),
    "softplus": Case(level="softplus", reference=lambda z: torch.log1p(torch.exp(z))),
    "softplus-sharp": Case(
        level={"name": "softplus", "beta": 3}, reference=lambda z: functional.softplus(z, beta=3, threshold=1e3)
    ),
    "expression": Case(
        level={"name": "expression", "expr": "z*sigmoid(z)*where(z>1, 2, 1)"},
        reference=lambda z: functional.silu(z) * (1 + (z > 1)),
        kinks=(1,),
    ),
    "expression-fixed": Case(
        level={"name": "expression", "expr": "max(z, slope * z)", "parameters": {"slope": {"init": 0.3}}},
        reference=lambda z: functional.leaky_relu(z, 0.3) + 0.35 * z * (z == 0),
        kinks=(0,),
    ),
    "expression-learned": Case(
        level={
            "name": "expression",
            "expr": "shift + z * sigmoid(beta * z)",
            "parameters": {
                "beta": {"init": 1.5, "learnable": True},
                "shift": {"init": 0.1, "learnable": True, "per": "layer"},
            },
        },
        reference=lambda z, phi_beta, phi_shift: phi_shift + z * torch.sigmoid(phi_beta * z),
    ),
    "selu": Case(level="selu", reference=functional.selu, kinks=(0,), moments=(0, 1, 1.071615)),
}

NAMED = {"slope": "initial_slope"}
"""Learned parameters whose start is a parameter of another name."""


def learned_of(level: Activation, channels: int) -> dict[str, Tensor]:
    """The level's learned parameters at their (typical) start, as leaves [C]."""
    return {
        name: torch.full((channels,), parameter.typical_start(), dtype=torch.float64, requires_grad=True)
        for name, parameter in ACTIVATION_FUNCTIONS[level.name].learned(level).items()
    }


def numbers_of(level: Activation) -> dict[str, float]:
    """The level's numeric parameters: what its formula is written in."""
    if level.name == "expression":
        return {name: fields["init"] for name, fields in level.parameters["parameters"].items()}
    typical = {NAMED.get(name, name): float(tensor.detach()[0]) for name, tensor in learned_of(level, 1).items()}
    given = {name: value for name, value in level.parameters.items() if isinstance(value, int | float)}
    used = parse_names(level)
    return {name: value for name, value in (typical | given).items() if name in used}


def parse_names(level: Activation) -> set[str]:
    """The parameters that the formula mentions."""
    return {name for name in ACTIVATIONS[level.name].parameters if name in formula_of(level)}


def formula_of(level: Activation) -> str:
    """The level's formula; a written activation is its own."""
    return str(level.parameters["expr"]) if level.name == "expression" else ACTIVATIONS[level.name].formula


def points(*kinks: float) -> Tensor:
    """[B, C] of values on both sides of every kink, none of them nearer than 0.03, and 0 itself if it is no kink."""
    source = torch.Generator().manual_seed(1)
    z = 2.0 * torch.randn(EXAMPLES, CHANNELS, dtype=torch.float64, generator=source)
    z[0] = 0.0
    for kink in kinks:
        z = torch.where((z - kink).abs() < 0.03, z + 0.1, z)
    return z


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def test_every_level_is_registered() -> None:
    registered = {Activation.of(case.level).name for case in CASES.values()}
    elementwise = {name for name, definition in ACTIVATIONS.items() if definition.ratio == 1}
    assert registered == elementwise
    assert set(ACTIVATIONS) == set(ACTIVATION_FUNCTIONS)


@pytest.mark.parametrize("kinks", [True, False], ids=["at-zero", "beside-kinks"])
def test_it_is_its_reference_forward_and_backward(case: Case, kinks: bool) -> None:
    level = Activation.of(case.level)
    entry, values = ACTIVATION_FUNCTIONS[level.name], points(*(() if kinks else case.kinks))
    z, alone = values.clone().requires_grad_(), values.clone().requires_grad_()
    learned, learned_alone = learned_of(level, CHANNELS), learned_of(level, CHANNELS)
    h, expected = entry.forward(z, level, learned), case.reference(alone, **learned_alone)
    cotangent = points().flip(0) + 1.0
    h.backward(cotangent)
    expected.backward(cotangent)
    torch.testing.assert_close(h, expected, **TIGHT)
    torch.testing.assert_close(z.grad, alone.grad, **TIGHT)
    torch.testing.assert_close(entry.derivative(values, level, learned) * cotangent, z.grad, **TIGHT)
    for name, parameter in learned.items():
        torch.testing.assert_close(parameter.grad, learned_alone[name].grad, **TIGHT)


def test_finite_differences_agree_away_from_kinks(case: Case) -> None:
    level = Activation.of(case.level)
    entry, learned = ACTIVATION_FUNCTIONS[level.name], learned_of(level, CHANNELS)

    def forward(z: Tensor, *parameters: Tensor) -> Tensor:
        return entry.forward(z, level, dict(zip(learned, parameters, strict=True)))

    assert torch.autograd.gradcheck(forward, (points(*case.kinks).requires_grad_(), *learned.values()))


def test_no_derivative_is_steeper_than_its_bound(case: Case) -> None:
    level = Activation.of(case.level)
    entry, learned = ACTIVATION_FUNCTIONS[level.name], learned_of(level, 1)
    z = torch.linspace(-30, 30, 600_001, dtype=torch.float64)
    found = entry.derivative(z, level, learned).abs().max()
    bound = torch.as_tensor(entry.steepest(level, learned), dtype=torch.float64)
    if bound.isnan():
        assert found > 50, "it has a bound"
        return
    torch.testing.assert_close(found, bound.max(), rtol=1e-6, atol=0.0)


def test_shape_and_dtype_stay_and_nothing_is_moved(case: Case) -> None:
    level = Activation.of(case.level)
    entry = ACTIVATION_FUNCTIONS[level.name]
    for shape in ((2, 5, 3), (5, 2, 3, 4, 4)):
        z = torch.randn(shape, generator=torch.Generator().manual_seed(2))
        before = z.clone()
        axes = (2, 1, 3) if len(shape) == 3 else (1, 2, 3, 1, 1)
        learned = {
            name: torch.full(axes, parameter.typical_start()) for name, parameter in entry.learned(level).items()
        }
        once, again = entry.forward(z, level, learned), entry.forward(z, level, learned)
        slope = entry.derivative(z, level, learned)
        assert once.shape == slope.shape == z.shape
        assert once.dtype == slope.dtype == z.dtype
        assert torch.equal(once, again)
        assert torch.equal(z, before)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.moments])
def test_gaussian_moments(name: str) -> None:
    case = CASES[name]
    level = Activation.of(case.level)
    entry, learned = ACTIVATION_FUNCTIONS[level.name], learned_of(level, 1)
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    h, slope = entry.forward(z, level, learned).detach(), entry.derivative(z, level, learned).detach()
    found = [float(torch.trapezoid(f * density, z)) for f in (h, h.square(), slope.square())]
    assert found == pytest.approx(case.moments, abs=1e-4)


def test_the_formula_says_the_same(case: Case) -> None:
    level = Activation.of(case.level)
    if level.parameters.get("mode") == "gate":
        return  # the formula is the default mode's
    entry, formula = ACTIVATION_FUNCTIONS[level.name], formula_of(level)
    numbers, z = numbers_of(level), points(*case.kinks)
    h, slope = curve(parse(formula, list(numbers)), numbers, z.numpy())
    learned = learned_of(level, CHANNELS)
    np.testing.assert_allclose(entry.forward(z, level, learned).detach().numpy(), h, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(entry.derivative(z, level, learned).detach().numpy(), slope, rtol=1e-10, atol=1e-12)
    assert gain_of_formula(parse(formula, list(numbers)), numbers) == pytest.approx(gain(level), rel=2e-4)


def test_the_catalogue_can_tell_of_it(case: Case) -> None:
    definition = ACTIVATIONS[Activation.of(case.level).name]
    assert definition.equation and definition.derivative and definition.citation and definition.formula
    assert all(parameter.doc for parameter in definition.parameters.values())


def srelu_models(**level: object) -> PackedNetworks:
    """Two lanes of seeds 0 and 1, and one of leaky relu with slope 0.2; five steps an epoch."""
    task, training = Task(train_examples=80), Training(batch_size=16, epochs=3)
    configs = [
        TrialConfig(
            task=task, training=training, model=Mlp(depth=2, width=8), activation=Activation.of(activation), seed=seed
        )
        for activation, seed in (
            ({"name": "srelu", **level}, 0),
            ({"name": "srelu", **level}, 1),
            ({"name": "leaky_relu", "negative_slope": 0.2}, 0),
        )
    ]
    return build_model([configs[lane] for lane in lane_order(configs)])


def test_srelu_starts_where_keras_contrib_does() -> None:
    model = srelu_models()
    lanes = [lane for lane, config in enumerate(model.configs) if config.activation.name == "srelu"]
    slopes, thresholds = (model.params[f"layer_01.{name}"][lanes] for name in ("left_slope", "right_threshold"))
    assert (slopes >= 0).all() and (slopes < 1).all() and len(slopes.unique()) == 16
    assert (thresholds >= 0).all() and (thresholds < 5).all() and thresholds.max() > 1
    assert torch.equal(model.params["layer_01.left_threshold"][lanes], torch.zeros(2, 8))
    assert torch.equal(model.params["layer_01.right_slope"][lanes], torch.ones(2, 8))
    assert not torch.equal(slopes[0], model.params["layer_02.left_slope"][lanes[0]]), "layers draw their own"
    config = model.configs[lanes[0]]
    plain = config.model_copy(update={"activation": Activation.of("relu")})
    assert parameter_count(config, model.params) == parameter_count(plain, model.params) + 2 * 8 * 4
    one_each = config.model_copy(update={"activation": Activation.of({"name": "srelu", "per": "layer"})})
    assert parameter_count(one_each, model.params) == parameter_count(plain, model.params) + 2 * 4


def test_frozen_srelu_learns_nothing_and_is_a_leaky_relu() -> None:
    model = srelu_models(frozen_epochs=2)
    inputs = torch.randn(1, 16, 1, 8, 8, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1, -1)
    names = [name for name in model.params if name.split(".")[1] in srelu_learned(Activation.of("srelu"))]
    assert len(names) == 8

    def gradients(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        seeds = [config.seed for config in model.configs]
        logits = model.forward(model.params, inputs, Pass.step(draws=StepDraws(seeds, step)))
        found = torch.autograd.grad(logits.square().sum(), list(model.params.values()), materialize_grads=True)
        return logits.detach(), dict(zip(model.params, found, strict=True))

    seed_0 = {config.activation.name: lane for lane, config in enumerate(model.configs) if config.seed == 0}
    logits, found = gradients(9)
    torch.testing.assert_close(logits[seed_0["srelu"]], logits[seed_0["leaky_relu"]])
    assert not any(found[name].any() for name in names)
    logits, found = gradients(10)
    assert found["layer_01.right_threshold"].abs().max() == 0, "its slope is still 1"
    assert all(found[f"layer_01.{name}"].any() for name in ("left_threshold", "left_slope", "right_slope"))
    torch.testing.assert_close(logits[seed_0["srelu"]], logits[seed_0["leaky_relu"]])


@pytest.mark.parametrize("per", ["channel", "layer"])
@pytest.mark.parametrize("model_of", [Mlp(depth=2, width=8), Cnn(width=2)], ids=["mlp", "cnn"])
def test_thawing_puts_the_right_threshold_at_a_quantile(per: str, model_of: Model) -> None:
    level = {"name": "srelu", "frozen_epochs": 1, "per": per, "quantile": 0.75}
    config = TrialConfig(
        task=Task(train_examples=80),
        model=model_of,
        training=Training(batch_size=16, epochs=2),
        activation=Activation.of(level),
    )
    model = build_model([config])
    shape = (1, 16, 1, 8, 8) if model.lane_axis == 0 else (16, 1, 1, 8, 8)
    inputs, trace = torch.randn(shape, generator=torch.Generator().manual_seed(0)), Trace()
    for step in (4, 5):
        before = model.params["layer_01.right_threshold"].detach().clone()
        assert not before.any()
        with torch.no_grad():
            model.forward(model.params, inputs, Pass.step(trace=trace, draws=StepDraws([0], step)))
    z = trace.preactivations[-2].squeeze(model.lane_axis).transpose(0, 1).flatten(1)
    z = z.flatten()[None] if per == "layer" else z
    wanted = torch.quantile(z, 0.75, dim=1, interpolation="lower")
    found = model.params["layer_01.right_threshold"].detach()[0]
    share = (z <= found[: len(z), None]).float().mean(1)
    torch.testing.assert_close(share, torch.full_like(share, 0.75), atol=1.5 / z.shape[1], rtol=0)
    torch.testing.assert_close(found[: len(z)], wanted, atol=0.2, rtol=0)


@pytest.mark.parametrize("shape", [Mlp(depth=2, width=8), Cnn(width=2)], ids=["mlp", "cnn"])
def test_rrelu_draws_every_slope_anew_in_training_alone(shape: Model) -> None:
    config = TrialConfig(task=Task(train_examples=80), model=shape, activation=Activation.of("rrelu"))
    leaky = config.model_copy(update={"activation": Activation.of({"name": "leaky_relu", "negative_slope": 11 / 48})})
    model = build_model([config])
    axes = (1, 16, 1, 8, 8) if model.lane_axis == 0 else (16, 1, 1, 8, 8)
    inputs = torch.randn(axes, generator=torch.Generator().manual_seed(0))

    def slopes(step: int | None) -> Tensor:
        trace, draws = Trace(), None if step is None else StepDraws([config.seed], step)
        with torch.no_grad():
            pass_ = Pass.evaluation(trace=trace) if draws is None else Pass.measuring(trace=trace, draws=draws)
            model.forward(model.params, inputs, pass_)
        z, h = trace.preactivations[0], trace.activations[0]
        assert torch.equal(h[z > 0], z[z > 0])
        return (h / z)[z < -1e-3]

    first, second = slopes(0), slopes(1)
    assert torch.equal(first, slopes(0)) and not torch.equal(first, second)
    for drawn in (first, second):
        assert 0.12499 < drawn.min() < 0.14 and 0.31 < drawn.max() < 0.33334
        assert drawn.mean() == pytest.approx(11 / 48, abs=0.02)
        assert drawn.std() == pytest.approx((1 / 3 - 1 / 8) / math.sqrt(12), abs=0.01)
    torch.testing.assert_close(slopes(None), torch.full_like(first, 11 / 48))
    pair = [build_model([one]).forward(model.params, inputs, Pass.evaluation()) for one in (config, leaky)]
    torch.testing.assert_close(*pair)


def test_rrelu_slopes_are_in_order() -> None:
    with pytest.raises(ValidationError, match=r"0\.5 is above upper, which is 0\.333"):
        Activation.of({"name": "rrelu", "lower": 0.5})


def test_what_is_written_is_the_level_that_it_spells() -> None:
    """A study's worth of training with relu and prelu spelt as expressions: the same losses as the levels'."""
    spelt = [
        ("relu", {"name": "expression", "expr": "relu(z)"}),
        (
            "prelu",
            {
                "name": "expression",
                "expr": "where(z > 0, z, a * z)",
                "parameters": {"a": {"init": 0.25, "learnable": True}},
            },
        ),
    ]
    for named, written in spelt:
        configs = [
            TrialConfig(
                task=Task(train_examples=80),
                model=Mlp(depth=2, width=8),
                training=Training(batch_size=16, epochs=2),
                activation=Activation.of(level),
                probes=Probes(schedule=Schedule(points=4)),
            )
            for level in (named, written)
        ]
        (theirs, own), _ = trained(configs)
        layout = pack_layout(configs[0])
        for name in ("train_loss", "validation_loss", "dead_unit_rate", "saturated_rate"):
            np.testing.assert_allclose(own[:, layout.position(name)], theirs[:, layout.position(name)], rtol=1e-5)
        assert configs[0].digest() != configs[1].digest()
        counts = [parameter_count(config, build_model([config]).params) for config in configs]
        assert counts[0] == counts[1]


EVERY_OPERATION = [
    *(f"z {symbol} 0.5" for symbol in ("+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=")),
    *(f"{name}(-z)" for name in ("exp", "abs", "sin", "cos", "tanh", "sigmoid", "relu", "softplus", "erf")),
    *(f"{name}(abs(z) + 0.1)" for name in ("log", "sqrt")),
    *("min(z, 0.3)", "max(z, 0.3)", "clip(z, -1, 1)", "where(z - 1, z, 0)", "z ** 3", "2 ** z", "abs(z) ** z"),
]


@pytest.mark.parametrize("text", EVERY_OPERATION)
def test_every_operation_of_the_language_is_numpys(text: str) -> None:
    level, z = Activation.of({"name": "expression", "expr": text}), points(0.0) + 0.01
    h, slope = curve(parse(text), {}, z.numpy())
    entry = ACTIVATION_FUNCTIONS["expression"]
    np.testing.assert_allclose(entry.forward(z, level, {}).numpy(), h, rtol=1e-11)
    np.testing.assert_allclose(entry.derivative(z, level, {}).numpy(), slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "torchs"),
    [
        ("relu(z)", torch.relu),
        ("abs(z)", torch.abs),
        ("max(z, 0)", lambda z: torch.maximum(z, torch.zeros(()))),
        ("min(z, 1)", lambda z: torch.minimum(z, torch.ones(()))),
        ("max(z, -z)", lambda z: torch.maximum(z, -z)),
        ("clip(z, 0, 1)", lambda z: torch.clamp(z, 0, 1)),
        ("clip(z, 1, 0)", lambda z: torch.clamp(z, torch.ones(()), torch.zeros(()))),
        ("clip(2 * z, -z, z)", lambda z: torch.clamp(2 * z, -z, z)),
    ],
)
def test_a_kink_has_the_slope_that_torch_gives_it(text: str, torchs: Callable[[Tensor], Tensor]) -> None:
    """At every kink exactly, as autograd of torch's own function: in training, for the probes and in the catalogue."""
    z = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(torchs(z).sum(), z)
    level = Activation.of({"name": "expression", "expr": text})
    entry = ACTIVATION_FUNCTIONS["expression"]
    (trained_on,) = torch.autograd.grad(entry.forward(z, level, {}).sum(), z)
    with torch.no_grad():
        values, drawn = curve(parse(text), {}, z.numpy())
        np.testing.assert_array_equal(values, torchs(z).numpy())
        np.testing.assert_array_equal(entry.derivative(z, level, {}).numpy(), expected.numpy())
    np.testing.assert_array_equal(trained_on.numpy(), expected.numpy())
    np.testing.assert_array_equal(drawn, expected.numpy())


def test_the_operations_are_those_of_the_language() -> None:
    operators = {"+", "-", "*", "/", "**", "negative", "<", "<=", ">", ">=", "==", "!="}
    assert set(TORCH_OPERATIONS) == set(NUMPY_OPERATIONS) == set(FUNCTIONS) | operators


def test_the_digest_knows_the_meaning_not_the_spelling() -> None:
    texts = ("z*sigmoid(beta*z)", " z * (sigmoid((beta * z)))", "sigmoid(beta * z) * z")
    one, same, other = (
        TrialConfig(
            activation=Activation.of({"name": "expression", "expr": text, "parameters": {"beta": {"init": 1}}})
        ).digest()
        for text in texts
    )
    assert one == same != other


@pytest.mark.slow
@pytest.mark.parametrize("model", [Mlp(depth=2, width=8), Cnn(width=2)], ids=["mlp", "cnn"])
def test_all_levels_together_are_each_alone(model: Model) -> None:
    """Five steps in float32: losses agree to 2e-4, and whatever is measured applies to the same lanes."""
    configs = [
        TrialConfig(
            task=Task(train_examples=80),
            model=model,
            training=Training(batch_size=16, epochs=1, learning_rate=0.01),
            activation=Activation.of(case.level),
            probes=Probes(schedule=Schedule(points=3)),
            seed=number % 3,
        )
        for number, case in enumerate(CASES.values())
    ]
    (together, _), layout = trained(configs), pack_layout(configs[0])
    smooth = [layout.series.index(name) for name in ("train_loss", "validation_loss")]
    for config, rows in zip(configs, together, strict=True):
        (alone,), _ = trained([config])
        np.testing.assert_allclose(rows[:, smooth], alone[:, smooth], rtol=2e-4, err_msg=config.run_name())
        assert np.array_equal(np.isnan(rows), np.isnan(alone))
