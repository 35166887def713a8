"""The layers of networks as plain numbers: what is connected to what, and in which shapes.

Pure arithmetic, so that a study can be checked and its memory estimated without torch. Images are (channels, height,
width); a convolution of stride s keeps ceil(size / s) positions a side. `ratio` is how many output channels the
activation gives for each input channel: `width` counts channels of linear layers, and the layer that reads the
activation's output has `ratio` times as many inputs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from typing import Literal

from actinium.models.kind import ONE, HiddenLayer, Shape, WeightShapes


def dense_layers(widths: Sequence[int], ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
    """Fully connected hidden layers of these widths."""
    return tuple(HiddenLayer(width, int(width * ratio), 1) for width in widths)


def dense_weights(layers: Sequence[HiddenLayer], shape: Shape, outputs: int) -> WeightShapes:
    """The weights of fully connected layers one behind the other, the first on the flattened image."""
    inputs = [math.prod(shape), *(layer.activated for layer in layers)]
    shapes: WeightShapes = {
        f"layer_{number:02d}": (inputs[number - 1], layer.channels) for number, layer in enumerate(layers, start=1)
    }
    return {**shapes, "classifier": (inputs[-1], outputs)}


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution by its name in the parameters; `height` and `wide` are of its output, before 2x2 pooling.

    `activated`: channels of the activation's output; a projection has no activation, and as many as its `outputs`.
    """

    name: str
    inputs: int
    outputs: int
    activated: int
    kernel: int
    stride: int
    height: int
    wide: int
    pooled: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the kernel: (C_out, C_in, k, k)."""
        return self.outputs, self.inputs, self.kernel, self.kernel


@dataclass(frozen=True, kw_only=True)
class Block:
    """Convolutions in a row, and a shortcut around them that is added before the last activation.

    Without a `projection` the shortcut is every `stride`-th position of the block's input, with zeros for channels that
    the input does not have (He et al. 2016, option A). A projection is a 1x1 convolution, normalized but not activated
    (option B).
    """

    convolutions: tuple[Convolution, ...]
    stride: int
    projection: Convolution | None


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A stem, then residual blocks; global average pooling and a linear classifier follow.

    `pooling`: whether 2x2 pooling takes the largest of four positions or their mean.
    """

    stem: tuple[Convolution, ...]
    blocks: tuple[Block, ...] = ()
    pooling: Literal["max", "average"] = "max"

    def hidden(self) -> tuple[Convolution, ...]:
        """The convolutions with an activation, in order."""
        return *self.stem, *chain.from_iterable(block.convolutions for block in self.blocks)

    def branches(self) -> tuple[tuple[str, ...], ...]:
        """The layers of every residual branch, by name, in order."""
        return tuple(tuple(layer.name for layer in block.convolutions) for block in self.blocks)

    def projections(self) -> tuple[Convolution, ...]:
        """The shortcuts' convolutions, in order."""
        return tuple(block.projection for block in self.blocks if block.projection is not None)

    def features(self) -> int:
        """Inputs of the classifier."""
        return self.hidden()[-1].activated

    def invalid(self) -> str | None:
        """Why no such network can be built, or None."""
        for block in self.blocks:
            inputs, outputs = block.convolutions[0].inputs, block.convolutions[-1].outputs
            if block.projection is None and inputs > outputs:
                return (
                    f"a shortcut without parameters cannot add {inputs} channels to {outputs}; resnet50 projects them"
                )
        return None


class _Row:
    """Makes convolutions one behind the other, and numbers their names."""

    def __init__(self, shape: Shape, ratio: Fraction) -> None:
        self.shape, self._ratio, self._layers, self._projections = shape, ratio, 0, 0

    def convolution(self, outputs: int, kernel: int, *, stride: int = 1, pooled: bool = False) -> Convolution:
        """The next hidden layer; the layer after it reads its output."""
        self._layers += 1
        found = self._made(f"layer_{self._layers:02d}", outputs, kernel, stride)
        height, wide, activated = found.height, found.wide, int(outputs * self._ratio)
        pooled = pooled and min(height, wide) > 1
        self.shape = (activated, height // 2, wide // 2) if pooled else (activated, height, wide)
        return replace(found, pooled=pooled, activated=activated)

    def projection(self, outputs: int, *, stride: int) -> Convolution:
        """A shortcut's convolution, which reads what the next hidden layer reads."""
        self._projections += 1
        return self._made(f"projection_{self._projections:02d}", outputs, 1, stride)

    def _made(self, name: str, outputs: int, kernel: int, stride: int) -> Convolution:
        inputs, height, wide = self.shape
        return Convolution(
            name=name,
            inputs=inputs,
            outputs=outputs,
            activated=outputs,
            kernel=kernel,
            stride=stride,
            height=-(-height // stride),
            wide=-(-wide // stride),
        )


@lru_cache(maxsize=256)
def cnn(width: int, pooling: Literal["max", "average"], shape: Shape, ratio: Fraction = ONE) -> Architecture:
    """The small network of SCIENCE B: a 5x5 convolution, pooled 2x2, and a 3x3 one of twice the width."""
    row = _Row(shape, ratio)
    stem = row.convolution(width, 5, pooled=True), row.convolution(2 * width, 3)
    return Architecture(stem=stem, pooling=pooling)


@lru_cache(maxsize=256)
def vgg11(width: int, shape: Shape, ratio: Fraction = ONE) -> Architecture:
    """Configuration A of Simonyan & Zisserman 2015 with one linear layer behind it: eight 3x3 convolutions of
    1, 2, 4, 4, 8, 8, 8, 8 times `width`; 2x2 max pooling behind 1, 2, 4, 6 and 8, as long as a side has two positions.
    """
    row = _Row(shape, ratio)
    plan = [(1, True), (2, True), (4, False), (4, True), (8, False), (8, True), (8, False), (8, True)]
    return Architecture(stem=tuple(row.convolution(times * width, 3, pooled=pooled) for times, pooled in plan))


def _stages(widths: list[int], lengths: list[int]) -> Iterator[tuple[int, int]]:
    """(width, stride) of every block: each stage but the first begins with stride 2."""
    for stage, (width, length) in enumerate(zip(widths, lengths, strict=True)):
        for block in range(length):
            yield width, 2 if stage and not block else 1


@lru_cache(maxsize=256)
def resnet20(width: int, shape: Shape, ratio: Fraction = ONE) -> Architecture:
    """He et al. 2016, section 4.2, n = 3: a 3x3 stem, then three stages of three blocks of two 3x3 convolutions of 1, 2
    and 4 times `width`; shortcuts without parameters.
    """
    row = _Row(shape, ratio)
    stem = row.convolution(width, 3)
    blocks = [
        Block(
            convolutions=(row.convolution(channels, 3, stride=stride), row.convolution(channels, 3)),
            stride=stride,
            projection=None,
        )
        for channels, stride in _stages([width, 2 * width, 4 * width], [3, 3, 3])
    ]
    return Architecture(stem=(stem,), blocks=tuple(blocks))


@lru_cache(maxsize=256)
def resnet50(width: int, shape: Shape, ratio: Fraction = ONE) -> Architecture:
    """He et al. 2016, table 1, in its form for small images: a 3x3 stem without pooling, then 3, 4, 6 and 3 bottlenecks
    (1x1, 3x3 with the stride, 1x1 to four times as many channels) of 1, 2, 4 and 8 times `width`; projections where the
    shape changes: in every block, where the activation changes the number of channels.
    """
    row = _Row(shape, ratio)
    stem = row.convolution(width, 3)
    blocks = []
    for channels, stride in _stages([width, 2 * width, 4 * width, 8 * width], [3, 4, 6, 3]):
        same = stride == 1 and row.shape[0] == 4 * channels
        projection = None if same else row.projection(4 * channels, stride=stride)
        convolutions = (
            row.convolution(channels, 1),
            row.convolution(channels, 3, stride=stride),
            row.convolution(4 * channels, 1),
        )
        blocks.append(Block(convolutions=convolutions, stride=stride, projection=projection))
    return Architecture(stem=(stem,), blocks=tuple(blocks))
