"""How inputs are laid out in people's files, and how they become [N, C, H, W]. One visible table.

What the shape alone cannot tell is asked. Legend: N examples, C channels, H height, W width, T time steps, F features.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from actinium.datasets.archive import refusal

LayoutName: TypeAlias = Literal["NCHW", "NHWC", "NHW", "NTF", "NFT"]
"""What people can say."""

CHANNELS = (1, 3, 4)
"""Numbers of channels by which an axis is known: grey, RGB, RGBA."""
LEAST_SIDE = 8
"""Pixels that both sides of an image have at least that is known by its type."""


@dataclass(frozen=True, kw_only=True)
class AxisLayout:
    """An order of axes: in words, and the axes' places in [N, C, H, W], where a 1 is an axis that is added."""

    name: str
    words: str
    order: tuple[int | None, int | None, int | None]

    def arranged(self, values: NDArray[Any]) -> NDArray[Any]:
        """[N, C, H, W] of an array in this layout; a view where that is possible."""
        axes = [axis for axis in self.order if axis is not None]
        moved = values.transpose(0, *axes) if values.ndim > 1 else values
        return moved.reshape(len(values), *self.shape(values.shape))

    def shape(self, whole: tuple[int, ...]) -> tuple[int, int, int]:
        """(C, H, W) of an array of shape `whole`."""
        channels, height, wide = (1 if axis is None else whole[axis] for axis in self.order)
        return channels, height, wide

    def reading(self, whole: tuple[int, ...]) -> str:
        """What an example of an array of shape `whole` would be."""
        channels, height, wide = self.shape(whole)
        if self.name in ("N", "ND"):
            return f"{channels} feature{'' if channels == 1 else 's'}"
        if self.name in ("NTF", "NFT"):
            return f"{height} time steps of {channels} features"
        many = "1 channel" if channels == 1 else f"{channels} channels"
        return f"{many} of {height}x{wide}"


LAYOUTS = {
    layout.name: layout
    for layout in (
        AxisLayout(name="N", words="numbers", order=(None, None, None)),
        AxisLayout(name="ND", words="vectors", order=(1, None, None)),
        AxisLayout(name="NHW", words="images of one channel", order=(None, 1, 2)),
        AxisLayout(name="NTF", words="sequences", order=(2, 1, None)),
        AxisLayout(name="NFT", words="sequences, features first", order=(1, 2, None)),
        AxisLayout(name="NCHW", words="images, channels first", order=(1, 2, 3)),
        AxisLayout(name="NHWC", words="images, channels last", order=(3, 1, 2)),
    )
}
ASKED: dict[int, tuple[LayoutName, ...]] = {3: ("NHW", "NTF", "NFT"), 4: ("NCHW", "NHWC")}
"""The layouts that an array of so many axes can have."""


def recognized(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], given: LayoutName | None) -> AxisLayout:
    """The layout of the array `name`: the one given, or the one that its shape has. Refuses what cannot be told."""
    if 0 in shape or not shape:
        raise refusal(name, f"has the shape {shape}, which holds nothing; give at least one of each")
    if given is not None:
        if given not in ASKED.get(len(shape), ()):
            fitting = " or ".join(ASKED.get(len(shape), ())) or "nothing: vectors have one layout"
            raise refusal(name, f"has the shape {shape}, which is not {given}; give {fitting}")
        return LAYOUTS[given]
    match len(shape):
        case 1 | 2:
            return LAYOUTS["N" if len(shape) == 1 else "ND"]
        case 3:
            found = _of_three(shape, dtype)
        case 4:
            found = _of_four(shape)
        case axes:
            raise refusal(name, f"has {axes} axes, {shape}; give [N, D], [N, H, W], [N, T, F], [N, C, H, W] or NHWC")
    if found is None:
        readings = ", ".join(f"--layout {word} ({LAYOUTS[word].reading(shape)})" for word in ASKED[len(shape)])
        raise refusal(name, f"has the shape {shape}, from which its layout cannot be told; give one of {readings}")
    return LAYOUTS[found]


def _of_three(shape: tuple[int, ...], dtype: np.dtype[Any]) -> LayoutName | None:
    """Square, or bytes with room for a picture: an image; few features of more steps: a sequence."""
    _, first, last = shape
    if (first == last and first > 1) or (dtype == np.uint8 and min(first, last) >= LEAST_SIDE):
        return "NHW"
    return "NTF" if last <= max(CHANNELS) < first else None


def _of_four(shape: tuple[int, ...]) -> LayoutName | None:
    """The axis of 1, 3 or 4 has the channels, where one axis is so; else the two that make a square are the image."""
    _, first, middle, last = shape
    channels = [axis for axis, size in enumerate((first, middle, last)) if size in CHANNELS]
    if channels == [0] or middle == last != first:
        return "NCHW"
    return "NHWC" if channels == [2] or (first == middle != last and last in CHANNELS) else None
