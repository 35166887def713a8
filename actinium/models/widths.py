"""How wide the linear layers are under an activation that makes more channels of one, or fewer.

Pure arithmetic, without torch. r is the activation's ratio, outputs a channel; `width` is what a model's document says.

same_in:         the linear layers keep `width`; what is behind reads r `width`.
matched_out:     they have `width` / r, so that what is behind reads `width`.
matched_params:  they have the width with which the network learns most nearly as many numbers as one of `width` does
                 with an activation of ratio 1; of two that are as near, the narrower.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from actinium.document import Document
from actinium.levels import Activation, Normalization, cancels_bias, learns_scale, learns_shift, stands_before
from actinium.models.architectures import Architecture, Shape
from actinium.models.feedforward import FeedForward, Mlp


class WidthFault(ValueError):
    """No width fits; the message is why."""


@lru_cache(maxsize=1024)
def sized(
    model: Document, activation: Activation, normalization: Normalization, *, shape: Shape, outputs: int, fixup: bool
) -> FeedForward:
    """The model with linear layers as wide as the activation's `width_policy` has them, for images of `shape`.

    `outputs` of the network; `fixup`: whether it starts by Fixup. Raises WidthFault where the activation's channels do
    not fit into the model.
    """
    if not isinstance(model, FeedForward):
        raise WidthFault("it changes the number of channels, which this kind of model does not carry")
    ratio, policy = activation.ratio, str(activation.parameters["width_policy"])

    def of_width(width: int) -> FeedForward:
        return model.model_copy(update={"width": width})

    def learned(width: int, ratio: Fraction) -> int:
        architecture = of_width(width).architecture(shape, ratio)
        return learned_numbers(architecture, outputs=outputs, normalization=normalization, fixup=fixup)

    found = of_width(linear_width(model.width, ratio, policy, learned=learned))
    architecture = found.architecture(shape, ratio)
    if reason := architecture.invalid():
        raise WidthFault(reason)
    if isinstance(found, Mlp) and found.adds_before_activation():
        linear, read = found.width, architecture.features()
        raise WidthFault(
            f"after_add adds {read} channels to {linear}; residual_activation: inside adds {read} to {read}"
        )
    return found


def learned_numbers(architecture: Architecture, *, outputs: int, normalization: Normalization, fixup: bool) -> int:
    """What a network with so many `outputs` learns: weights, biases that nothing cancels, gammas and betas.

    With `fixup`, in the place of biases, a shift before every linear layer and every activation, and a multiplier a
    branch. What an activation learns is not in it: none that changes the number of channels learns anything.
    """
    hidden, projections = architecture.hidden(), architecture.projections()
    everywhere = (*hidden, *projections)
    weights = sum(math.prod(place.shape) for place in everywhere) + architecture.features() * outputs
    linear = sum(place.outputs for place in everywhere)
    scalars = len(everywhere) + 1 + len(hidden) + len(architecture.blocks)
    biases = outputs + (scalars if fixup else 0 if cancels_bias(normalization) else linear)
    normalized = linear if stands_before(normalization) else sum(place.activated for place in hidden)
    return weights + biases + normalized * (learns_scale(normalization) + learns_shift(normalization))


def linear_width(width: int, ratio: Fraction, policy: str, *, learned: Callable[[int, Fraction], int]) -> int:
    """The width of the linear layers; raises WidthFault.

    `learned` is how many numbers a network learns with linear layers of a width, under an activation of a ratio; it
    grows with the width.
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
