"""Activations that take channels by pairs: registered once here, with what their papers say, as functions of tensors.

In float64, so that only a wrong formula can exceed a tolerance. Legend: l lanes, B examples, C channels, P pairs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from actinium.levels import ACTIVATIONS, Activation
from actinium.levels.curves import curve, drawing
from actinium.levels.expression import parse
from actinium.trial import Mlp, TrialConfig
from workers.activations import ACTIVATION_FUNCTIONS, gain
from workers.layers import Pass, Trace
from workers.models import build_model

TIGHT = {"rtol": 1e-11, "atol": 1e-12}
SHAPES = {"units": (2, 6, 4), "channels": (6, 2, 4, 3, 3)}


@dataclass(frozen=True, kw_only=True)
class Case:
    """`reference`: z in, phi(z) out, channels on axis 2. `moments`: means over outputs of h, h^2 for z ~ N(0, I)."""

    reference: Callable[[Tensor], Tensor]
    moments: tuple[float, float]


def concatenated(z: Tensor) -> Tensor:
    """Shang et al. 2016, definition 2.1."""
    return torch.cat((functional.relu(z), functional.relu(-z)), 2)


CASES: Mapping[str, Case] = {
    "crelu": Case(reference=concatenated, moments=(0.398942, 0.5)),
    "two_path_half_wave": Case(reference=concatenated, moments=(0.398942, 0.5)),
    "two_path_square": Case(
        reference=lambda z: torch.cat((z.clamp(min=0) ** 2, z.clamp(max=0) ** 2), 2), moments=(0.5, 1.5)
    ),
    "modulus": Case(reference=lambda z: torch.complex(*z.chunk(2, 2)).abs(), moments=(math.sqrt(math.pi / 2), 2.0)),
}
"""E relu = 1/sqrt(2 pi), E relu^2 = 1/2, E relu^4 = 3/2; |a + ib| has Rayleigh's distribution."""


def points(shape: tuple[int, ...], *, zeros: bool) -> Tensor:
    """On both sides of 0, and 0 itself or nothing near it."""
    z = 2.0 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    z = torch.where(z.abs() < 0.03, z + 0.1, z)
    if zeros:
        z[0] = 0.0
    return z


def of(name: str) -> tuple[Activation, Case, Any]:
    return Activation.of(name), CASES[name], ACTIVATION_FUNCTIONS[name]


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_level_is_registered() -> None:
    assert set(CASES) == {name for name, definition in ACTIVATIONS.items() if definition.ratio != 1}


@pytest.mark.parametrize("zeros", [True, False], ids=["at-zero", "beside-it"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_its_reference_forward_and_backward(name: str, shape: tuple[int, ...], zeros: bool) -> None:
    level, case, entry = of(name)
    values = points(shape, zeros=zeros)
    z, alone = values.clone().requires_grad_(), values.clone().requires_grad_()
    h, expected = entry.forward(z, level, {}), case.reference(alone)
    assert h.shape[2] == level.ratio * shape[2]
    cotangent = torch.randn(h.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    h.backward(cotangent)
    expected.backward(cotangent)
    torch.testing.assert_close(h, expected, **TIGHT)
    torch.testing.assert_close(z.grad, alone.grad, **TIGHT)
    derivative = entry.derivative(values, level, {})
    assert derivative.shape[2] == max(h.shape[2], shape[2])
    if level.ratio > 1:
        assert z.grad is not None
        chained = sum(part * given for part, given in zip(derivative.chunk(2, 2), cotangent.chunk(2, 2), strict=True))
    else:
        chained = derivative * torch.cat((cotangent, cotangent), 2)
    torch.testing.assert_close(chained, z.grad, **TIGHT)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_finite_differences_agree_away_from_zero(name: str, shape: tuple[int, ...]) -> None:
    level, _, entry = of(name)
    z = points(shape, zeros=False).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: entry.forward(z, level, {}), (z,))


def test_no_derivative_is_steeper_than_its_bound(name: str) -> None:
    level, _, entry = of(name)
    line = torch.linspace(-30, 30, 601, dtype=torch.float64)
    z = torch.cartesian_prod(line, line).unsqueeze(0)
    found, bound = entry.derivative(z, level, {}).abs().max(), entry.steepest(level, {})
    if math.isnan(bound):
        assert found > 50, "it has a bound"
        return
    torch.testing.assert_close(found, torch.tensor(bound, dtype=torch.float64), rtol=1e-6, atol=0.0)


def test_dtype_stays_and_nothing_is_moved(name: str) -> None:
    level, _, entry = of(name)
    for shape in SHAPES.values():
        z = torch.randn(shape, generator=torch.Generator().manual_seed(2)).transpose(0, 1)
        before = z.clone()
        once, again = entry.forward(z, level, {}), entry.forward(z, level, {})
        assert once.dtype == entry.derivative(z, level, {}).dtype == torch.float32
        assert torch.equal(once, again) and torch.equal(z, before)


def test_gaussian_moments_and_gain(name: str) -> None:
    level, case, entry = of(name)
    z = torch.randn(1, 400_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    h = entry.forward(z, level, {})
    assert (float(h.mean()), float(h.square().mean())) == pytest.approx(case.moments, rel=0.01)
    assert gain(level) == pytest.approx(1 / math.sqrt(case.moments[1]), rel=1e-6)
    assert drawing(ACTIVATIONS[name])["gain"] == pytest.approx(gain(level), rel=1e-6)


def test_the_formulas_say_the_same(name: str) -> None:
    level, _, entry = of(name)
    definition = ACTIVATIONS[name]
    z = points((1, 50, 1), zeros=False)
    partner = definition.drawn_at.get("partner")
    inputs = z if partner is None else torch.cat((z, torch.full_like(z, partner)), 2)
    h, slopes = entry.forward(inputs, level, {}), entry.derivative(inputs, level, {})
    formulas = [definition.formula, definition.second_formula] if level.ratio > 1 else [definition.formula]
    for channel, formula in enumerate(formulas):
        names = dict(definition.drawn_at)
        function, derivative = curve(parse(formula, list(names)), names, z.flatten().numpy())
        np.testing.assert_allclose(h[0, :, channel].numpy(), function, rtol=1e-11)
        np.testing.assert_allclose(slopes[0, :, channel].numpy(), derivative, rtol=1e-11)


def test_the_catalogue_can_tell_of_it(name: str) -> None:
    definition = ACTIVATIONS[name]
    assert definition.equation and definition.derivative and definition.citation and definition.formula
    assert definition.parameters["width_policy"].default == "same_in"
    drawn = drawing(definition)
    assert drawn["ratio"] == float(definition.ratio)
    assert ("second_function" in drawn["curve"]) == (definition.ratio > 1)


# ---- what the literature says of them -------------------------------------------------------------------------------


def test_energy_is_kept_and_phase_is_too() -> None:
    """SCIENCE C20: |CReLU(z)|^2 = |abs(z)|^2 = |z|^2 = sum TPR; z = r1 - r2 = sqrt(p) - sqrt(n); abs loses the sign."""
    z = points((3, 7, 8), zeros=True)
    energy = z.square().sum(2)
    both, squares = (ACTIVATION_FUNCTIONS[name].forward(z, Activation.of(name), {}) for name in CASES if name in TWO)
    torch.testing.assert_close(both.square().sum(2), energy, **TIGHT)
    torch.testing.assert_close(z.abs().square().sum(2), energy, **TIGHT)
    torch.testing.assert_close(squares.sum(2), energy, **TIGHT)
    torch.testing.assert_close(torch.sub(*both.chunk(2, 2)), z, **TIGHT)
    torch.testing.assert_close(torch.sub(*squares.sqrt().chunk(2, 2)), z, **TIGHT)
    assert torch.equal(ACTIVATION_FUNCTIONS["abs"].forward(-z, Activation.of("abs"), {}), z.abs())


TWO = ("crelu", "two_path_square")


def test_the_modulus_of_a_quadrature_pair_does_not_see_a_shift() -> None:
    """Of a signal on a circle and a cosine and a sine of one frequency; half-wave rectification sees the shift."""
    size, frequency = 16, 3
    angles = 2 * math.pi * frequency * torch.arange(size, dtype=torch.float64) / size
    filters = torch.stack((angles.cos(), angles.sin()), 1)
    signal = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    shifted = torch.stack([signal.roll(places) for places in range(size)])
    z = (shifted @ filters).unsqueeze(0)
    found = ACTIVATION_FUNCTIONS["modulus"].forward(z, Activation.of("modulus"), {})
    torch.testing.assert_close(found, found[:, :1].expand_as(found), rtol=1e-12, atol=0)
    assert torch.relu(z).std(1).min() > 0.1


@pytest.mark.parametrize("name", ["crelu", "relu"])
def test_he_counts_the_doubled_fan_in_and_keeps_the_second_moment(name: str) -> None:
    """Of z, over five layers; log-variance of a squared norm is at most 5 L / n (SCIENCE C3)."""
    config = TrialConfig(model=Mlp(depth=6, width=512), activation=Activation.of(name))
    model, trace = build_model([config]), Trace()
    ratio = int(config.activation.ratio)
    weight = model.params["layer_02.weight"].detach()
    assert weight.shape == (1, ratio * 512, 512)
    assert float(weight.std()) == pytest.approx(math.sqrt(2 / (ratio * 512)), rel=0.01)
    inputs = torch.randn(1, 64, 1, 8, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        model.forward(model.params, inputs, Pass.evaluation(trace=trace))
    first, last = (float(trace.preactivations[layer].square().mean()) for layer in (0, 5))
    assert abs(math.log(last / first)) < 4 * math.sqrt(5 * 5 / 512)
