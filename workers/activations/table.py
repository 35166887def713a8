"""The table of activations: one entry a level, under the names of `actinium.levels.ACTIVATIONS`."""

import math
from collections.abc import Mapping

import torch
from torch.nn import functional

from workers.activations.expressions import written, written_derivative, written_parameters, written_steepest
from workers.activations.forms import ActivationFunction, LearnedParameter, gate, slope_derivative
from workers.activations.neuron import lif, lif_derivative
from workers.activations.pairs import (
    both_signs,
    both_signs_derivative,
    both_squares,
    both_squares_derivative,
    modulus,
    modulus_derivative,
)
from workers.activations.rectifiers import (
    half_wave,
    half_wave_derivative,
    prelu,
    prelu_steepest,
    rrelu_noisy,
    rrelu_slope,
)
from workers.activations.s_shaped import srelu, srelu_derivative, srelu_learned, srelu_steepest, srelu_thawed
from workers.activations.smooth import (
    GELU_STEEPEST,
    SELU_ALPHA,
    SELU_LAMBDA,
    SILU_STEEPEST,
    elu_derivative,
    gelu_derivative,
    selu_derivative,
    silu_derivative,
    softplus,
)

BOTH_SIGNS = ActivationFunction(
    forward=both_signs,
    derivative=both_signs_derivative,
    steepest=lambda level, learned: 1.0,
    rectifier=True,
)

ACTIVATION_FUNCTIONS: Mapping[str, ActivationFunction] = {
    "linear": ActivationFunction(
        forward=lambda z, level, learned: z,
        derivative=lambda z, level, learned: torch.ones_like(z),
        steepest=lambda level, learned: 1.0,
    ),
    "sigmoid": ActivationFunction(
        forward=lambda z, level, learned: torch.sigmoid(z),
        derivative=lambda z, level, learned: torch.sigmoid(z) * torch.sigmoid(-z),
        steepest=lambda level, learned: 0.25,
    ),
    "tanh": ActivationFunction(
        forward=lambda z, level, learned: torch.tanh(z),
        derivative=lambda z, level, learned: 1.0 - torch.tanh(z).square(),
        steepest=lambda level, learned: 1.0,
    ),
    "relu": ActivationFunction(
        forward=lambda z, level, learned: torch.relu(z),
        derivative=lambda z, level, learned: gate(z),
        steepest=lambda level, learned: 1.0,
        rectifier=True,
    ),
    "leaky_relu": ActivationFunction(
        forward=lambda z, level, learned: functional.leaky_relu(z, level.number("negative_slope")),
        derivative=lambda z, level, learned: slope_derivative(z, level.number("negative_slope")),
        steepest=lambda level, learned: 1.0,
        rectifier=True,
    ),
    "prelu": ActivationFunction(
        forward=prelu,
        derivative=lambda z, level, learned: slope_derivative(z, learned["slope"]),
        steepest=prelu_steepest,
        learned=lambda level: {
            "slope": LearnedParameter(start=level.number("initial_slope"), shared=level.parameters["per"] == "layer")
        },
        rectifier=True,
    ),
    "rrelu": ActivationFunction(
        forward=lambda z, level, learned: functional.leaky_relu(z, rrelu_slope(level)),
        derivative=lambda z, level, learned: slope_derivative(z, rrelu_slope(level)),
        steepest=lambda level, learned: 1.0,
        noisy=rrelu_noisy,
        rectifier=True,
    ),
    "srelu": ActivationFunction(
        forward=srelu,
        derivative=srelu_derivative,
        steepest=srelu_steepest,
        learned=srelu_learned,
        rectifier=True,
        frozen_epochs=lambda level: int(level.number("frozen_epochs")),
        thawed=srelu_thawed,
    ),
    "elu": ActivationFunction(
        forward=lambda z, level, learned: functional.elu(z, level.number("alpha")),
        derivative=elu_derivative,
        steepest=lambda level, learned: max(1.0, level.number("alpha")),
        rectifier=True,
    ),
    "mirrored_relu": ActivationFunction(
        forward=lambda z, level, learned: torch.relu(-z),
        derivative=lambda z, level, learned: -gate(-z),
        steepest=lambda level, learned: 1.0,
        rectifier=True,
    ),
    "flipped_relu": ActivationFunction(
        forward=lambda z, level, learned: -torch.relu(z),
        derivative=lambda z, level, learned: -gate(z),
        steepest=lambda level, learned: 1.0,
    ),
    "rotated_relu": ActivationFunction(
        forward=lambda z, level, learned: -torch.relu(-z),
        derivative=lambda z, level, learned: gate(-z),
        steepest=lambda level, learned: 1.0,
    ),
    "half_wave": ActivationFunction(
        forward=half_wave,
        derivative=half_wave_derivative,
        steepest=lambda level, learned: 1.0,
        rectifier=True,
    ),
    "half_squaring": ActivationFunction(
        forward=lambda z, level, learned: torch.relu(z).square(),
        derivative=lambda z, level, learned: 2.0 * torch.relu(z),
        steepest=lambda level, learned: math.nan,
        rectifier=True,
    ),
    "lif": ActivationFunction(
        forward=lif,
        derivative=lif_derivative,
        steepest=lambda level, learned: level.number("clip"),
        rectifier=True,
    ),
    "abs": ActivationFunction(
        forward=lambda z, level, learned: torch.abs(z),
        derivative=lambda z, level, learned: torch.sign(z),
        steepest=lambda level, learned: 1.0,
    ),
    "abs_tanh": ActivationFunction(
        forward=lambda z, level, learned: torch.abs(torch.tanh(z)),
        derivative=lambda z, level, learned: torch.sign(z) * (1.0 - torch.tanh(z).square()),
        steepest=lambda level, learned: 1.0,
    ),
    "gelu": ActivationFunction(
        forward=lambda z, level, learned: functional.gelu(z),
        derivative=gelu_derivative,
        steepest=lambda level, learned: GELU_STEEPEST,
    ),
    "silu": ActivationFunction(
        forward=lambda z, level, learned: functional.silu(z),
        derivative=silu_derivative,
        steepest=lambda level, learned: SILU_STEEPEST,
    ),
    "softplus": ActivationFunction(
        forward=softplus,
        derivative=lambda z, level, learned: torch.sigmoid(level.number("beta") * z),
        steepest=lambda level, learned: 1.0,
    ),
    "selu": ActivationFunction(
        forward=lambda z, level, learned: functional.selu(z),
        derivative=selu_derivative,
        steepest=lambda level, learned: SELU_LAMBDA * SELU_ALPHA,
        rectifier=True,
    ),
    "crelu": BOTH_SIGNS,
    "two_path_half_wave": BOTH_SIGNS,
    "two_path_square": ActivationFunction(
        forward=both_squares,
        derivative=both_squares_derivative,
        steepest=lambda level, learned: math.nan,
        rectifier=True,
    ),
    "modulus": ActivationFunction(
        forward=modulus,
        derivative=modulus_derivative,
        steepest=lambda level, learned: 1.0,
    ),
    "expression": ActivationFunction(
        forward=written,
        derivative=written_derivative,
        steepest=written_steepest,
        learned=written_parameters,
    ),
}
