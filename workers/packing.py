"""How many trials to train as one pack, by what `benchmarks/pack_widths.py` measured on a CPU core.

There, the time of a step per lane falls with the width while a layer's outputs of all lanes stay near the core (MLPs
by 2 to 10 times, convolutions on 8x8 images by 2), and rises past that (convolutions on 28x28 and 32x32 images: best
alone, 1.6 times worse in company).
"""

from actinium.trial import TrialConfig

CPU_ELEMENTS = 2**19
"""Elements of the largest layer for one batch, all lanes together."""

CPU_LANES = 24
"""More lanes than this lower the cost of one no further on a CPU, but keep other cores waiting."""

GPU_LANES = 256


def pack_width(config: TrialConfig, device: str) -> int:
    """The most lanes to lease at once for this trial's pack key."""
    if not device.startswith("cpu"):
        return GPU_LANES
    elements = config.training.batch_size * max(channels * positions for channels, positions in config.layers())
    return max(1, min(CPU_LANES, CPU_ELEMENTS // elements))
