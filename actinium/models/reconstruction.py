"""Networks that give images back, as a study names them. Their targets: `actinium.objectives`, `reconstruction`."""

import math
from itertools import pairwise
from typing import Literal

from pydantic import Field

from actinium.datasets.table import DATASETS
from actinium.document import Document
from actinium.levels import Initialization
from actinium.task import Task


class Autoencoder(Document):
    """`depth` hidden layers of `width` units, a bottleneck, `depth` such layers again, and a linear layer back to the
    inputs (Hinton & Salakhutdinov 2006).

    The bottleneck is a hidden layer like the others: normalized, activated, probed. What is reconstructed is the input
    as the network sees it, whatever the dataset's labels; where the dataset has target images, those (a denoising
    autoencoder: Vincent et al. 2008).
    """

    kind: Literal["autoencoder"] = "autoencoder"
    depth: int = Field(default=1, ge=1, le=50)
    width: int = Field(default=128, ge=1, le=8192)
    bottleneck: int = Field(default=16, ge=1, le=8192)

    def widths(self) -> list[int]:
        """Of all hidden layers, in order."""
        return [self.width] * self.depth + [self.bottleneck] + [self.width] * self.depth


class Denoiser(Document):
    """`depth` hidden convolutions 3x3 of `width` channels, and one 3x3 back to the image's; no pooling.

    With `residual` the image is added to what comes out: the network learns the noise (Zhang et al. 2017), and needs no
    layer to hand the image's brightness on. Unlike there, the first hidden layer is normalized as the others are.
    """

    kind: Literal["denoiser"] = "denoiser"
    depth: int = Field(default=4, ge=1, le=50)
    width: int = Field(default=16, ge=1, le=1024)
    residual: bool = True


def reconstruction_weights(model: Autoencoder | Denoiser, shape: tuple[int, int, int]) -> int:
    """Elements of all weight matrices and kernels."""
    if isinstance(model, Denoiser):
        return 9 * model.width * (2 * shape[0] + (model.depth - 1) * model.width)
    widths = [math.prod(shape), *model.widths(), math.prod(shape)]
    return sum(above * below for below, above in pairwise(widths))


def invalid_denoiser(model: Denoiser, task: Task, initialization: Initialization) -> str | None:
    """Why there is nothing to learn for a denoiser, or it cannot start so, or None."""
    with_images = [name for name, dataset in DATASETS.items() if dataset.objective == "reconstruction"]
    if task.definition().objective != "reconstruction":
        known = ", ".join(with_images)
        return f"a denoiser needs target images, and {task.dataset} has none; known with target images: {known}"
    if initialization.name == "transfer" and initialization.parameters["source"] not in with_images:
        return "a denoiser can only be trained on a source with target images"
    if initialization.name == "lsuv" and model.residual:
        return "lsuv scales the last layer by the network's output, to which a residual denoiser adds its input"
    return None
