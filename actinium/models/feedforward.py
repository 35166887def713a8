"""The models of a study that read one example at a time: fully connected and convolutional networks."""

from fractions import Fraction
from typing import Literal, TypeAlias

from pydantic import Field

from actinium.document import Document
from actinium.models.architectures import ONE, Architecture, Shape, cnn, mlp, resnet20, resnet50, vgg11


class Mlp(Document):
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

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        """Its layers, for images of `shape` and an activation of `ratio`."""
        return mlp(self.depth, self.width, shape, ratio)

    def adds_before_activation(self) -> bool:
        """Whether some layer's input is added to what its activation receives."""
        return self.residual and self.residual_activation == "after_add" and self.depth > 1


class Cnn(Document):
    """conv 5x5 (`width`), 2x2 pool, conv 3x3 (2 `width`), global average pool, linear classifier (SCIENCE B)."""

    kind: Literal["cnn"] = "cnn"
    width: int = Field(default=16, ge=1, le=1024)
    pooling: Literal["max", "average"] = "max"

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        """Its convolutions, for images of `shape` and an activation of `ratio`."""
        return cnn(self.width, shape, ratio)


class Vgg11(Document):
    """VGG-11 for small images (`actinium.models.architectures.vgg11`); 64 is the original's width."""

    kind: Literal["vgg11"] = "vgg11"
    width: int = Field(default=64, ge=1, le=1024)

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        """Its convolutions, for images of `shape` and an activation of `ratio`."""
        return vgg11(self.width, shape, ratio)


class ResNet20(Document):
    """ResNet-20 for small images (`actinium.models.architectures.resnet20`); 16 is the original's width."""

    kind: Literal["resnet20"] = "resnet20"
    width: int = Field(default=16, ge=1, le=1024)

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        """Its convolutions, for images of `shape` and an activation of `ratio`."""
        return resnet20(self.width, shape, ratio)


class ResNet50(Document):
    """ResNet-50 for small images (`actinium.models.architectures.resnet50`); 64 is the original's width."""

    kind: Literal["resnet50"] = "resnet50"
    width: int = Field(default=64, ge=1, le=1024)

    def architecture(self, shape: Shape, ratio: Fraction = ONE) -> Architecture:
        """Its convolutions, for images of `shape` and an activation of `ratio`."""
        return resnet50(self.width, shape, ratio)


FeedForward: TypeAlias = Mlp | Cnn | Vgg11 | ResNet20 | ResNet50
"""Those that an `Architecture` describes."""
