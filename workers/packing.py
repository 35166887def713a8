"""How many trials to train as one pack. To be replaced by a measurement per pack key and device."""

from actinium.trial import TrialConfig

CPU_ELEMENTS = 2**17
"""Elements of the largest layer for one batch, all lanes together: about what stays in a core's cache."""

CPU_LANES = 24
"""More lanes than this no longer lower the cost of one on a CPU: the interpreter's share is already small."""

GPU_LANES = 256


def pack_width(config: TrialConfig, device: str) -> int:
    """The most lanes to lease at once for this trial's pack key."""
    if device != "cpu":
        return GPU_LANES
    elements = config.training.batch_size * max(channels * positions for channels, positions in config.layers())
    return max(1, min(CPU_LANES, CPU_ELEMENTS // elements))
