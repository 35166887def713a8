"""The models of a study whose outputs are images. What they are trained for is in `actinium.objectives`."""

from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from actinium.datasets.table import DATASETS
from actinium.levels import Initialization, Normalization
from actinium.models.architectures import dense_layers, dense_weights
from actinium.models.kind import ONE, HiddenLayer, ModelKind, Shape, WeightShapes
from actinium.objectives import ObjectiveName
from actinium.task import Task


class Autoencoder(ModelKind):
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

    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        return dense_layers([self.width] * self.depth + [self.bottleneck] + [self.width] * self.depth)

    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        return dense_weights(self.hidden(shape), shape, outputs)

    def objective(self, dataset: ObjectiveName) -> ObjectiveName:
        return "reconstruction"

    def invalid_greedy(self) -> str | None:
        return None


class Denoiser(ModelKind):
    """`depth` hidden convolutions 3x3 of `width` channels, and one 3x3 back to the image's; no pooling.

    With `residual` the image is added to what comes out: the network learns the noise (Zhang et al. 2017), and needs no
    layer to hand the image's brightness on. Unlike there, the first hidden layer is normalized as the others are.
    """

    kind: Literal["denoiser"] = "denoiser"
    depth: int = Field(default=4, ge=1, le=50)
    width: int = Field(default=16, ge=1, le=1024)
    residual: bool = True

    kernels: ClassVar[bool] = True

    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        return (HiddenLayer(self.width, self.width, shape[1] * shape[2]),) * self.depth

    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        channels = [shape[0], *[self.width] * self.depth]
        shapes: WeightShapes = {
            f"layer_{number:02d}": (self.width, channels[number - 1], 3, 3) for number in range(1, self.depth + 1)
        }
        return {**shapes, "classifier": (shape[0], self.width, 3, 3)}

    def invalid(self, task: Task, normalization: Normalization, initialization: Initialization) -> str | None:
        with_images = [name for name, dataset in DATASETS.items() if dataset.objective == "reconstruction"]
        if task.definition().objective != "reconstruction":
            known = ", ".join(with_images)
            return f"a denoiser needs target images, and {task.dataset} has none; known with target images: {known}"
        if initialization.name == "transfer" and initialization.parameters["source"] not in with_images:
            return "a denoiser can only be trained on a source with target images"
        if initialization.name == "lsuv" and self.residual:
            return "lsuv scales the last layer by the network's output, to which a residual denoiser adds its input"
        return None
