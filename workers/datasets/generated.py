"""Generated datasets: their equations are in `actinium.datasets.table.DATASETS`, under the same names.

Every example is drawn from the task's seed stream alone, so that all arms of a seed see the same examples. Classes take
turns: example i has the label i mod K. Legend: N examples, K classes, D dimensions, S height and width.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from actinium.datasets.table import DATASETS
from actinium.definitions import ParameterValue
from actinium.trial import Task
from workers.datasets.arrays import Arrays
from workers.datasets.example_draws import Draws
from workers.datasets.sequences import adding_task, adding_task_at_test_length

Make: TypeAlias = Callable[[Draws], Tensor]
"""The inputs of the draws' labels: [N, D] or [N, 1, S, S]."""


def two_spirals(draws: Draws) -> Tensor:
    """Two arms, each the other turned by half a circle."""
    radius = draws.uniform()
    angle = 2 * math.pi * draws.number("turns") * radius + math.pi * draws.labels
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + draws.number("noise") * draws.normal(2)


def xor(draws: Draws) -> Tensor:
    """Four clusters at the corners of a square; opposite corners are one class."""
    first = torch.where(draws.uniform() < 0.5, -1.0, 1.0).double()
    second = torch.where(draws.labels == 1, -first, first)
    return torch.stack([first, second], dim=1) + draws.number("noise") * draws.normal(2)


def gaussian_blobs(draws: Draws) -> Tensor:
    """Spheres in a row."""
    points = draws.normal(draws.whole("dimensions"))
    points[:, 0] += draws.number("separation") * draws.labels
    return points


def contrast_level(draws: Draws) -> Tensor:
    """Noise whose deviation is the label."""
    contrast = (draws.labels + 1) / draws.whole("classes")
    return contrast[:, None, None, None] * draws.white_images()


def brightness_level(draws: Draws) -> Tensor:
    """Noise whose mean is the label."""
    brightness = draws.labels / (draws.whole("classes") - 1)
    return brightness[:, None, None, None] + draws.number("noise") * draws.white_images()


def phase_textures(draws: Draws) -> Tensor:
    """Stripes of any orientation and place, whose two harmonics meet at the label's phase."""
    size, angle = draws.whole("size"), draws.stripes()
    phase = 2 * math.pi * draws.labels[:, None, None] / draws.whole("classes")
    waves = (angle + phase).cos() + (2 * angle + phase).cos() / 2
    return (waves + draws.number("noise") * draws.normal(size, size)).unsqueeze(1)


GENERATED: dict[str, Make] = {
    "two_spirals": two_spirals,
    "xor": xor,
    "gaussian_blobs": gaussian_blobs,
    "contrast_level": contrast_level,
    "brightness_level": brightness_level,
    "phase_textures": phase_textures,
}


def regression_1d(draws: Draws) -> tuple[Tensor, Tensor]:
    """A noisy function of one number."""
    x = 2.0 * draws.uniform(1) - 1.0
    function = CURVES[draws.word("function")]
    return x, function(x) + draws.number("noise") * draws.normal(1)


def brightness_denoising(draws: Draws) -> tuple[Tensor, Tensor]:
    """Stripes whose brightness and contrast are an image's own, with noise and without."""
    angle = draws.stripes()
    brightness, contrast = 0.25 + 0.5 * draws.uniform(1, 1), 0.25 * draws.uniform(1, 1)
    clean = (brightness + contrast * angle.cos()).unsqueeze(1)
    return clean + draws.number("noise") * draws.normal(*clean.shape[1:]), clean


CURVES: dict[str, Callable[[Tensor], Tensor]] = {
    "sine": lambda x: (2.0 * math.pi * x).sin(),
    "step": torch.sign,
    "abs": torch.abs,
    "linear": lambda x: x,
}

MakeWithTargets: TypeAlias = Callable[[Draws], tuple[Tensor, Tensor]]
"""Inputs, and targets [N, K] or images as the inputs."""

GENERATED_WITH_TARGETS: dict[str, MakeWithTargets] = {
    "adding_task": adding_task,
    "brightness_denoising": brightness_denoising,
    "regression_1d": regression_1d,
}

TESTED_OTHERWISE: dict[str, Callable[[Draws, Tensor], Tensor]] = {
    "adding_task": adding_task_at_test_length,
}
"""What the inputs are as they are tested, of datasets of which test examples may have another height."""


def generate(task: Task, seed: int) -> Arrays:
    """The task's examples in a trial of `seed`; drawn once, and shared: callers must not write to them."""
    return _generate(task.dataset, tuple(task.parameters.items()), task.drawing_seed(seed))


@lru_cache(maxsize=16)
def _generate(name: str, parameters: tuple[tuple[str, ParameterValue], ...], seed: int) -> Arrays:
    definition = DATASETS[name].of(dict(parameters))
    draws = Draws(dict(parameters), seed=seed, classes=max(1, definition.classes))
    if name in GENERATED:
        inputs, targets = GENERATED[name](draws), None
    else:
        inputs, targets = GENERATED_WITH_TARGETS[name](draws)
    shaped = inputs.float().reshape(definition.examples, *definition.shape)
    other = None if definition.test_height is None else TESTED_OTHERWISE[name](draws, inputs).float()
    return Arrays(
        inputs=shaped, labels=draws.labels, targets=None if targets is None else targets.float(), test_inputs=other
    )
