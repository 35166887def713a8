"""The models of a study that read one example at a time: fully connected and convolutional networks."""

from abc import abstractmethod
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from actinium.levels import Initialization, Normalization
from actinium.models.architectures import (
    Architecture,
    cnn,
    dense_layers,
    dense_weights,
    resnet20,
    resnet50,
    vgg11,
)
from actinium.models.kind import ONE, HiddenLayer, Shape, WeightShapes
from actinium.models.widths import Resizable
from actinium.task import Task


class Mlp(Resizable):
    """`depth` hidden layers of `width` units: linear, normalization, activation; then a linear classifier.

    With `residual`, every hidden layer but the first adds its input x. `inside`: x + F(x), F the whole layer.
    `after_add`: the activation comes after the sum, as in He et al. 2016, figure 2; a normalization before it is of the
    linear part alone, one behind it (`position: post`) stays behind.
    """

    kind: Literal["mlp"] = "mlp"
    depth: int = Field(default=3, ge=1, le=100)
    width: int = Field(default=128, ge=1, le=8192)
    residual: bool = False
    residual_activation: Literal["inside", "after_add"] = "inside"

    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        return dense_layers([self.width] * self.depth, ratio)

    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        return dense_weights(self.hidden(shape, ratio), shape, outputs)

    def branches(self, shape: Shape) -> tuple[tuple[str, ...], ...]:
        numbers = range(2, self.depth + 1) if self.residual else ()
        return tuple((f"layer_{number:02d}",) for number in numbers)

    def activates_branches(self) -> bool:
        return self.residual_activation == "inside"

    def unfit(self, shape: Shape, ratio: Fraction) -> str | None:
        if not self.branches(shape) or self.activates_branches():
            return None
        linear, read = self.width, self.hidden(shape, ratio)[-1].activated
        return f"after_add adds {read} channels to {linear}; residual_activation: inside adds {read} to {read}"

    def invalid_greedy(self) -> str | None:
        if self.residual:
            return "a residual layer hands its input on as it is: an autoencoder has nothing to learn of it"
        return None


class Convolutional(Resizable):
    """A kind that `actinium.models.architectures` describes as a list of convolutions; its facts are read off that."""

    kernels: ClassVar[bool] = True

    @abstractmethod
    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        """Its convolutions."""

    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        return tuple(
            HiddenLayer(layer.outputs, layer.activated, layer.height * layer.wide)
            for layer in self.architecture(shape, ratio).hidden()
        )

    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        architecture = self.architecture(shape, ratio)
        kernels = {layer.name: layer.shape for layer in (*architecture.hidden(), *architecture.projections())}
        return {**kernels, "classifier": (architecture.features(), outputs)}

    def branches(self, shape: Shape) -> tuple[tuple[str, ...], ...]:
        return self.architecture(shape).branches()

    def projections(self, shape: Shape, ratio: Fraction = ONE) -> dict[str, str]:
        blocks = self.architecture(shape, ratio).blocks
        return {block.projection.name: block.convolutions[-1].name for block in blocks if block.projection is not None}

    def unfit(self, shape: Shape, ratio: Fraction) -> str | None:
        return self.architecture(shape, ratio).invalid()


class Cnn(Convolutional):
    """conv 5x5 (`width`), 2x2 pool, conv 3x3 (2 `width`), global average pool, linear classifier (SCIENCE B)."""

    kind: Literal["cnn"] = "cnn"
    width: int = Field(default=16, ge=1, le=1024)
    pooling: Literal["max", "average"] = "max"

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        return cnn(self.width, self.pooling, shape, ratio)

    def invalid(self, task: Task, normalization: Normalization, initialization: Initialization) -> str | None:
        channels, height, wide = task.definition().shape
        return f"a cnn pools 2x2, and the inputs are {channels}x{height}x{wide}" if min(height, wide) < 2 else None


class Vgg11(Convolutional):
    """VGG-11 for small images (`actinium.models.architectures.vgg11`); 64 is the original's width."""

    kind: Literal["vgg11"] = "vgg11"
    width: int = Field(default=64, ge=1, le=1024)

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        return vgg11(self.width, shape, ratio)


class ResNet20(Convolutional):
    """ResNet-20 for small images (`actinium.models.architectures.resnet20`); 16 is the original's width."""

    kind: Literal["resnet20"] = "resnet20"
    width: int = Field(default=16, ge=1, le=1024)

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        return resnet20(self.width, shape, ratio)


class ResNet50(Convolutional):
    """ResNet-50 for small images (`actinium.models.architectures.resnet50`); 64 is the original's width."""

    kind: Literal["resnet50"] = "resnet50"
    width: int = Field(default=64, ge=1, le=1024)

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        return resnet50(self.width, shape, ratio)
