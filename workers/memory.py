"""How much memory a trial needs, and how much there is. Arithmetic: it loads no torch, so that the service may ask."""

import math
from dataclasses import dataclass
from pathlib import Path

import psutil

from actinium.trial import TrialConfig
from workers.packing import weight_count

FLOAT_BYTES = 4
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container finds what it may use (cgroups 2 and 1)."""


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """Bytes that a trial alone needs at least, in float32. `weights`: each four times (value, gradient, momentum, as of
    the last frame). `activations`: of each hidden layer u, z and h of a batch, and the gradient of one, for each of its
    gates. `data`: the examples, and with `zca` a copy of them for the seed. What the kernels of torch need for
    themselves is not in it.
    """

    weights: int
    activations: int
    data: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations + self.data

    def __str__(self) -> str:
        return (
            f"{in_words(self.total)} or more: {in_words(self.weights)} for the weights, four times each, "
            f"{in_words(self.activations)} for the activations of a batch, {in_words(self.data)} for the data"
        )


def memory_need(config: TrialConfig) -> MemoryNeed:
    """What a trial alone needs at least; equal for trials of one pack key."""
    dataset = config.task.definition()
    examples = config.task.train_count() * math.prod(dataset.shape)
    return MemoryNeed(
        weights=FLOAT_BYTES * 4 * weight_count(config),
        activations=FLOAT_BYTES * 2 * config.training.batch_size * config.model.gates * config.held(),
        data=FLOAT_BYTES * examples * (2 if config.task.scaling == "zca" else 1),
    )


def machine_bytes() -> int:
    """The memory of this machine, or what of it this container may use."""
    found = [int(psutil.virtual_memory().total)]
    for path in LIMITS:
        try:
            found.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or `max`
            continue
    return min(found)


def in_words(count: int) -> str:
    """Bytes for people."""
    gib = count / 2**30
    return f"{gib:.1f} GiB" if gib >= 1 else f"{count / 2**20:.0f} MiB"
