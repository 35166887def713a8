"""What a generated dataset draws its examples from. Legend: N examples, S height and width."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from actinium.definitions import ParameterValue
from workers.seeding import generator

STREAM = "examples"


class Draws:
    """A stream of float64 numbers, and the parameters, of one dataset."""

    def __init__(self, parameters: Mapping[str, ParameterValue], *, seed: int, classes: int) -> None:
        self._parameters = parameters
        self._source = generator(seed, STREAM)
        self.examples = self.whole("examples")
        self.labels = torch.arange(self.examples) % classes

    def number(self, name: str) -> float:
        """A parameter's value."""
        value = self._parameters[name]
        assert isinstance(value, int | float), f"{name} is a number by its definition"
        return float(value)

    def whole(self, name: str) -> int:
        """An integer parameter's value."""
        return int(self.number(name))

    def word(self, name: str) -> str:
        """The value of a parameter that is a choice."""
        return str(self._parameters[name])

    def uniform(self, *shape: int) -> Tensor:
        """U(0, 1), a row an example."""
        return torch.rand(self.examples, *shape, generator=self._source, dtype=torch.float64)

    def normal(self, *shape: int) -> Tensor:
        """N(0, 1), a row an example."""
        return torch.randn(self.examples, *shape, generator=self._source, dtype=torch.float64)

    def white_images(self) -> Tensor:
        """White noise [N, 1, S, S], mean 0 and deviation 1 in every image."""
        size = self.whole("size")
        noise = self.normal(1, size, size)
        centred = noise - noise.mean((2, 3), keepdim=True)
        return centred / centred.square().mean((2, 3), keepdim=True).sqrt()

    def stripes(self) -> Tensor:
        """The angle of a wave of any orientation and place at every pixel, [N, S, S]."""
        size = self.whole("size")
        place = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
        orientation, shift = math.pi * self.uniform(1, 1), 2 * math.pi * self.uniform(1, 1)
        along = place[:, None] * orientation.cos() + place[None, :] * orientation.sin()
        return 2 * math.pi * self.number("frequency") * along + shift
