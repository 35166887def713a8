"""How wide linear layers are under an activation that gives more, or fewer, channels than it receives.

Pure arithmetic, without torch. r is the activation's ratio: output channels for each input channel. `width` is what
the model's document says. The activation's `width_policy` decides:

same_in:         the linear layers have `width` channels; the layer behind the activation reads r `width`.
matched_out:     they have `width` / r, so that the layer behind the activation reads `width`.
matched_params:  they have the width with which the network learns most nearly as many numbers as a network of `width`
                 does with an activation of ratio 1; of two widths that are equally near, the narrower.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from actinium.levels import Activation, Normalization, cancels_bias, learns_scale, learns_shift, stands_before
from actinium.models.kind import ModelKind, Shape, WidthFault, linear_outputs


class Resizable(ModelKind):
    """A kind whose linear layers have a `width` that can follow the activation's ratio."""

    if TYPE_CHECKING:  # a field of every subclass, as `kind` is
        width: int

    def sized(
        self, activation: Activation, normalization: Normalization, *, shape: Shape, outputs: int, fixup: bool
    ) -> Self:
        """The same network with another `width`. Raises WidthFault."""
        width = _fitting_width(self, activation, normalization, shape=shape, outputs=outputs, fixup=fixup)
        return self.model_copy(update={"width": width})

    def unfit(self, shape: Shape, ratio: Fraction) -> str | None:
        """Why its layers do not fit together under an activation of this ratio, or None."""
        return None


@lru_cache(maxsize=1024)
def _fitting_width(
    model: Resizable, activation: Activation, normalization: Normalization, *, shape: Shape, outputs: int, fixup: bool
) -> int:
    ratio, policy = activation.ratio, str(activation.parameters["width_policy"])

    def of_width(width: int) -> Resizable:
        return model.model_copy(update={"width": width})

    def learned(width: int, ratio: Fraction) -> int:
        return learned_numbers(of_width(width), shape, ratio, outputs=outputs, normalization=normalization, fixup=fixup)

    width = linear_width(model.width, ratio, policy, learned=learned)
    if reason := of_width(width).unfit(shape, ratio):
        raise WidthFault(reason)
    return width


def learned_numbers(
    model: ModelKind, shape: Shape, ratio: Fraction, *, outputs: int, normalization: Normalization, fixup: bool
) -> int:
    """How many numbers a feed-forward network learns: weights, biases that no normalization cancels, gammas and betas.

    With `fixup`, instead of biases: a shift before every linear layer and every activation, and a multiplier for every
    branch. Parameters of activations are not counted: those that change the number of channels have none.
    """
    hidden = model.hidden(shape, ratio)
    layers = linear_outputs(model.weight_shapes(shape, outputs, ratio))
    linear = sum(layers.values())
    scalars = len(layers) + 1 + len(hidden) + len(model.branches(shape))
    biases = outputs + (scalars if fixup else 0 if cancels_bias(normalization) else linear)
    normalized = linear if stands_before(normalization) else sum(layer.activated for layer in hidden)
    affine = normalized * (learns_scale(normalization) + learns_shift(normalization))
    return model.weights(shape, outputs, ratio) + biases + affine


def linear_width(width: int, ratio: Fraction, policy: str, *, learned: Callable[[int, Fraction], int]) -> int:
    """The width of the linear layers; raises WidthFault.

    `learned` says how many numbers a network learns whose linear layers have a width, under an activation of a ratio;
    it grows with the width.
    """
    step = ratio.denominator
    if policy == "matched_params":
        target = learned(width, Fraction(1))
        low, high = 1, math.ceil(max(Fraction(width), width / ratio) / step)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if learned(middle * step, ratio) <= target else (low, middle - 1)
        return min((low * step, (low + 1) * step), key=lambda found: (abs(learned(found, ratio) - target), found))
    found = width / ratio if policy == "matched_out" else Fraction(width)
    if found.denominator != 1:
        raise WidthFault(f"matched_out needs linear layers of 1/{ratio} of the width, and {width} is not divisible")
    if found % step:
        raise WidthFault(f"the activation makes one channel of two, and a width of {found} is odd")
    return int(found)
