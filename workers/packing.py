"""How many trials to train as one pack: where to begin, what memory allows, and what measured packs say.

Widths are powers of two. The first packs of a pack key on a device are as wide as a rule of thumb says; then the time
of a step per lane, as finished packs had it, decides (`next_width`). The rule of thumb is what
`benchmarks/pack_widths.py` showed on a CPU core: the time per lane falls with the width while a layer's outputs of all
lanes stay near the core (MLPs by 2 to 10 times, convolutions on 8x8 images by 2), and rises past that (convolutions on
28x28 and 32x32 images: best alone, 1.6 times worse in company). Pure arithmetic: a dispatcher may import it without
loading torch.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actinium.trial import TrialConfig

GAIN = 0.05
"""By which share the time per lane must fall for a pack of twice the width."""
ENOUGH = 3
"""How many packs of a width must have been measured before it is given up: one may have met a busy machine."""


@dataclass(frozen=True, kw_only=True)
class DeviceLimits:
    """What a pack may take of a device. More than `lanes` keep others waiting; more than `first`, of a key that was
    never measured, would keep a study's first frames waiting. `near`: elements of the largest layer for one batch, all
    lanes together, up to which a first pack goes; `held`: of all layers, which a backward pass needs, some three times
    each; `weights`: of all lanes together, each of which is held four times (value, gradient, momentum, and as of the
    last frame).
    """

    lanes: int
    first: int
    near: int
    held: int
    weights: int


CPU = DeviceLimits(lanes=64, first=16, near=2**19, held=2**26, weights=2**24)
GPU = DeviceLimits(lanes=4096, first=256, near=2**30, held=2**32, weights=2**31)


def next_width(seconds: Mapping[int, Sequence[float]], *, first: int, most: int) -> int:
    """How many lanes the next pack of a pack key should have on a device: a power of two up to `most`.

    `seconds`: what a step took per lane in the latest packs, by their width. Of two widths, the wider is better when
    its median is lower by more than GAIN. The best width measured is left for twice as many lanes until ENOUGH packs of
    those have shown that they are no better, and for half as many where those were never tried. Without a measurement:
    `first`.
    """
    limit = power_of_two(most)
    medians = {width: statistics.median(times) for width, times in sorted(seconds.items()) if times and width <= limit}
    if not medians:
        return min(power_of_two(first), limit)
    best = min(medians)
    for width, median in medians.items():
        if median < (1.0 - GAIN) * medians[best]:
            best = width
    if 2 * best <= limit and len(seconds.get(2 * best, ())) < ENOUGH:
        return 2 * best
    return best // 2 if best > 1 and best // 2 not in medians else best


def power_of_two(lanes: int) -> int:
    """The largest power of two that is not more than `lanes`, and at least 1."""
    return int(2 ** (max(lanes, 1).bit_length() - 1))


def counted_as(lanes: int) -> int:
    """The power of two nearest to a pack's lanes, by their ratio: a pack is measured as one of that width."""
    return int(2 ** round(math.log2(lanes)))


def weight_count(config: TrialConfig) -> int:
    """Elements of one trial's weight matrices and kernels."""
    return config.sized_model().weights(config.task.definition().shape, config.outputs(), config.activation.ratio)


def first_width(config: TrialConfig, device: str) -> int:
    """The lanes of a first pack of this trial's pack key: as many as stay near the device's arithmetic."""
    limits, steps = _limits(device), config.time_steps() or 1  # one time step at once
    near = limits.near * steps // max(_outputs(config))
    return max(1, min(limits.first, near, most_lanes(config, device)))


def most_lanes(config: TrialConfig, device: str) -> int:
    """The most lanes that the device has memory for, and patience."""
    limits = _limits(device)
    by_memory = min(limits.held // sum(_outputs(config)), limits.weights // weight_count(config))
    if config.task.scaling == "zca":  # every seed whitens the whole dataset for itself
        dataset = config.task.definition()
        by_memory = min(by_memory, limits.held // (dataset.examples * math.prod(dataset.shape)))
    return max(1, min(limits.lanes, by_memory))


def _outputs(config: TrialConfig) -> list[int]:
    """Elements of each hidden layer for one batch in one lane, before or behind its activation."""
    batch = config.training.batch_size * config.model.gates
    return [batch * layer.positions * max(layer.channels, layer.activated) for layer in config.hidden()]


def _limits(device: str) -> DeviceLimits:
    return CPU if device == "cpu" else GPU
