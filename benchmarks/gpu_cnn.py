"""A small CNN on images of CIFAR-10's shape, many lanes in one pack on a GPU, against one at a time on the same card.

python benchmarks/gpu_cnn.py [LANES [REPETITIONS]]. Needs torch, numpy, pydantic and this repository. The network is
SCIENCE's small CNN of width 16 with batch normalization, batch 64; images are random, as only shapes matter. Sides,
interleaved; medians count:

- pack: training steps of all lanes together;
- alone: training steps of a pack of one;
- script: the same network in plain torch.nn and torch.optim.

versus_one_at_a_time: a step of the faster of the last two, times the lanes, over a step of the pack. On CUDA the
engine's steps are replayed as graphs (`step=graph`). Without a GPU the same code runs in a small form on a CPU core.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn
from torch.nn import functional

from actinium.trial import Cnn, Task, TrialConfig
from workers.models import build_model
from workers.training.batches import PackData
from workers.training.steps import Steps

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
EXAMPLES, STEPS, WARM_UP = (8192, 100, 10) if CUDA else (512, 2, 1)
CONFIG = TrialConfig.model_validate({"task": Task(dataset="cifar10"), "model": Cnn(width=16), "normalization": "batch"})
BATCH, RATE, MOMENTUM = CONFIG.training.batch_size, CONFIG.training.learning_rate, CONFIG.training.momentum


def random_data(lanes: int) -> PackData:
    """Images of unit variance and their labels, on the device."""
    positions = torch.arange(EXAMPLES, device=DEVICE).expand(lanes, -1)
    ones = torch.ones(lanes, 1, 1, 1, device=DEVICE)
    return PackData(
        inputs=torch.randn(EXAMPLES, 3, 32, 32, device=DEVICE),
        labels=torch.randint(10, (EXAMPLES,), device=DEVICE),
        shift=torch.zeros_like(ones),
        scale=ones,
        train=positions,
        validation=positions,
        test=positions,
        lane_axis=1,
    )


class Engine:
    """The training steps of a pack."""

    def __init__(self, lanes: int) -> None:
        configs = [CONFIG.model_copy(update={"seed": lane}) for lane in range(lanes)]
        self._steps = Steps(build_model(configs, device=DEVICE), random_data(lanes), captured=CUDA)

    def __call__(self, steps: int) -> None:
        self._steps.train_to(self._steps.taken + steps)


class Script:
    """One network by hand."""

    def __init__(self) -> None:
        data = random_data(1)
        self._inputs, self._labels = data.inputs, data.labels
        width = 16
        self._model = nn.Sequential(
            nn.Conv2d(3, width, 5, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, 10),
        ).to(DEVICE)
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=RATE, momentum=MOMENTUM)

    def __call__(self, steps: int) -> None:
        for _ in range(steps):
            batch = torch.randint(EXAMPLES, (BATCH,), device=DEVICE)
            self._optimizer.zero_grad()
            functional.cross_entropy(self._model(self._inputs[batch]), self._labels[batch]).backward()
            self._optimizer.step()


def seconds_a_step(side: Callable[[int], None]) -> float:
    """Wall time of a step, the device's included."""
    if CUDA:
        torch.cuda.synchronize()
    begun = time.perf_counter()
    side(STEPS)
    if CUDA:
        torch.cuda.synchronize()
    return (time.perf_counter() - begun) / STEPS


def main(lanes: int, repetitions: int) -> None:
    """One line."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.backends.cudnn.allow_tf32 = False  # on both sides
    sides: dict[str, Callable[[int], None]] = {"pack": Engine(lanes), "alone": Engine(1), "script": Script()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side(WARM_UP)
    for _ in range(repetitions):
        for name, side in sides.items():
            times[name].append(seconds_a_step(side))
    step = {name: statistics.median(found) for name, found in times.items()}
    device = torch.cuda.get_device_name().replace(" ", "-") if CUDA else "cpu"
    print("; ".join(f"{name} {1e3 * spent:.2f} ms a step" for name, spent in step.items()))
    print(
        f"bench gpu-cnn device={device} step={'graph' if CUDA else 'eager'} lanes={lanes} "
        f"versus_one_at_a_time={min(step['alone'], step['script']) * lanes / step['pack']:.2f}"
    )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(given[0] if given else 256 if CUDA else 4, given[1] if len(given) > 1 else 5)
