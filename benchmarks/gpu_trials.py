"""1,024 small trials as one pack on a GPU, against one at a time on the same card.

python benchmarks/gpu_trials.py [LANES [REPETITIONS]]. Needs torch, numpy, pydantic and this repository. The grid: the
digits MLP 64-128x4-10, batch 64, 20 epochs, {relu, elu} x {none, batch, layer}, as many seeds as fit. Sides are
interleaved; medians count:

- pack: every lane in one pack, from the configs to the summaries, probes at the default schedule;
- alone: trials of each kind as packs of one, by the same engine with the same probes;
- script: the same trials in plain torch.nn and torch.optim, data on the device, no probes, scores at the end only.

versus_one_at_a_time: the faster of the last two, times the lanes, over the pack. share_of_peak: the matrix products
that training needs, over what large float32 products reach on the device in the same call. On CUDA steps are replayed
as graphs (`step=graph`). Without a GPU the same code runs in a small form on one CPU core.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice, pairwise

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from rivals.plain import (
    ACTIVATIONS,
    BATCH,
    DEPTH,
    EPOCHS,
    MOMENTUM,
    NORMALIZATIONS,
    RATE,
    WIDTH,
    digits,
    network,
    scores,
)
from torch.nn import functional

from actinium.frame import LaneFinished
from actinium.trial import Mlp, Training, TrialConfig
from workers.training.train import train_pack

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
KINDS = [(activation, normalization) for activation in ACTIVATIONS for normalization in NORMALIZATIONS]
PEAK_SIZE = 8192 if CUDA else 1024


def grid(lanes: int) -> list[TrialConfig]:
    """Trials of all kinds in turn, each round of kinds with a seed of its own."""
    training = Training(learning_rate=RATE, momentum=MOMENTUM, batch_size=BATCH, epochs=EPOCHS)
    kinds = enumerate(islice(cycle(KINDS), lanes))
    return [
        TrialConfig.model_validate(
            {
                "model": Mlp(depth=DEPTH, width=WIDTH),
                "training": training,
                "activation": activation,
                "normalization": normalization,
                "seed": number // len(KINDS),
            }
        )
        for number, (activation, normalization) in kinds
    ]


def seconds(work: Callable[[], object]) -> float:
    """Wall time, the device's included."""
    if CUDA:
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def pack(configs: Sequence[TrialConfig]) -> None:
    """Train these together; every lane must come to its summary."""
    events = train_pack(configs, device=DEVICE, captured=CUDA)
    assert sum(isinstance(event, LaneFinished) for event in events) == len(configs)


def script(activation: str, normalization: str, seed: int) -> None:
    """One trial by hand."""
    torch.manual_seed(seed)
    (inputs, labels), validation, test = [(x.to(DEVICE), y.to(DEVICE)) for x, y in digits(seed)]
    model = network(activation, normalization).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(inputs), device=DEVICE)[: len(inputs) // BATCH * BATCH].view(-1, BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    for part, name in ((validation, "validation"), (test, "test")):
        scores(model, *part, prefix=name)


def training_flops(config: TrialConfig) -> float:
    """Of one trial's matrix products: forward, the weights' gradients, and the inputs' of all layers but the first."""
    widths = [64, *[WIDTH] * DEPTH, 10]
    products = [2.0 * BATCH * fan_in * fan_out for fan_in, fan_out in pairwise(widths)]
    return config.steps() * (3.0 * sum(products) - products[0])


def peak_flops() -> float:
    """Operations a second of large float32 products on the device."""
    a = torch.randn(PEAK_SIZE, PEAK_SIZE, device=DEVICE)
    torch.mm(a, a)
    return 2.0 * PEAK_SIZE**3 / min(seconds(lambda: torch.mm(a, a)) for _ in range(5))


def main(lanes: int, repetitions: int) -> None:
    """One line."""
    torch.set_num_threads(1)
    configs = grid(lanes)
    together: list[float] = []
    alone: list[float] = []
    by_hand: list[float] = []
    pack(configs[: len(KINDS)])
    script(*KINDS[0], seed=0)  # torch.optim imports a compiler at its first use
    for seed in range(repetitions):
        together.append(seconds(lambda: pack(configs)))
        for place, (activation, normalization) in enumerate(KINDS):
            single = configs[place].model_copy(update={"seed": seed})
            alone.append(seconds(lambda config=single: pack([config])))
            by_hand.append(seconds(lambda a=activation, n=normalization, s=seed: script(a, n, s)))
    spent, one = statistics.median(together), min(statistics.fmean(alone), statistics.fmean(by_hand))
    share = lanes * training_flops(configs[0]) / spent / peak_flops()
    name = torch.cuda.get_device_name().replace(" ", "-") if CUDA else "cpu"
    print(
        f"{lanes} lanes {spent:.2f} s; one alone {statistics.fmean(alone):.3f} s by the same engine, "
        f"{statistics.fmean(by_hand):.3f} s by hand"
    )
    print(
        f"bench gpu-trials device={name} step={'graph' if CUDA else 'eager'} lanes={lanes} "
        f"versus_one_at_a_time={one * lanes / spent:.2f} share_of_peak={share:.4f}"
    )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(given[0] if given else 1024 if CUDA else 24, given[1] if len(given) > 1 else 3)
