"""How many trials to train as one pack, by what `benchmarks/pack_widths.py` measured on a CPU core.

There, the time of a step per lane falls with the width while a layer's outputs of all lanes stay near the core (MLPs
by 2 to 10 times, convolutions on 8x8 images by 2), and rises past that (convolutions on 28x28 and 32x32 images: best
alone, 1.6 times worse in company). Pure arithmetic: a dispatcher may import it without loading torch.
"""

import math
from dataclasses import dataclass

from actinium.recurrent import GATES, recurrent_weights
from actinium.trial import Cnn, Lstm, Mlp, ResNet20, ResNet50, Rnn, TrialConfig, Vgg11


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a pack may take of a device. More than `lanes` lower the cost of one no further, but keep others waiting;
    `outputs`: elements of the largest layer for one batch, all lanes together; `held`: of all layers, which a backward
    pass needs, some three times each; `weights`: of all lanes together, each of which is held four times (value,
    gradient, momentum, and as of the last frame).
    """

    lanes: int
    outputs: int
    held: int
    weights: int


CPU = Room(lanes=24, outputs=2**19, held=2**26, weights=2**24)
GPU = Room(lanes=256, outputs=2**30, held=2**32, weights=2**31)


def weight_count(config: TrialConfig) -> int:
    """Elements of one trial's weight matrices and kernels."""
    dataset = config.task.definition()
    channels, height, wide = dataset.shape
    match config.model:
        case Mlp(depth=depth, width=width):
            return width * (channels * height * wide + (depth - 1) * width + dataset.classes)
        case Cnn(width=width):
            return width * (25 * channels + 2 * 9 * width + 2 * dataset.classes)
        case Vgg11() | ResNet20() | ResNet50() as model:
            architecture = model.architecture(dataset.shape)
            kernels = sum(math.prod(c.shape) for c in (*architecture.hidden(), *architecture.projections()))
            return kernels + architecture.hidden()[-1].outputs * dataset.classes
        case Rnn() | Lstm() as model:
            return recurrent_weights(model, channels * wide, dataset.classes)


def pack_width(config: TrialConfig, device: str) -> int:
    """The most lanes to lease at once for this trial's pack key."""
    room = CPU if device.startswith("cpu") else GPU
    columns = GATES.get(config.model.kind, 1)
    outputs = [config.training.batch_size * channels * positions * columns for channels, positions in config.layers()]
    steps = config.layers()[0][1] if config.model.kind in GATES else 1  # one time step at once
    by_memory = min(
        room.outputs * steps // max(outputs), room.held // sum(outputs), room.weights // weight_count(config)
    )
    if config.task.scaling == "zca":  # every seed whitens the whole dataset for itself
        dataset = config.task.definition()
        by_memory = min(by_memory, room.held // (dataset.examples * math.prod(dataset.shape)))
    return max(1, min(room.lanes, by_memory))
