"""What an evaluation costs, in epochs of the training that it interrupts: by batch size, and by its examples.

    make bench-evaluations

Prints `bench evaluations batch=B examples=N share_of_epoch=V` for each, and the share of a training of 8 and of 20
epochs that all of its evaluations take on the examples that they are made on.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable
from functools import partial

import torch

from actinium.schedules import evaluation_steps
from actinium.trial import TrialConfig
from workers.models import build_model
from workers.models.slices import lane_order
from workers.training.batches import pack_data
from workers.training.evaluation import evaluate, evaluation_examples
from workers.training.steps import Steps

LANES = 16
REPEATS = 30
BATCHES = (2, 8, 64)


def seconds(work: Callable[[], object]) -> float:
    """The median over repeats."""
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[REPEATS // 2]


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    for batch in BATCHES:
        levels = [(a, n) for a in ("relu", "elu") for n in ("none", "batch", "layer")]
        configs = [
            TrialConfig.model_validate(
                {
                    "model": {"kind": "mlp", "depth": 4, "width": 128},
                    "training": {"batch_size": batch, "epochs": 8},
                    "activation": levels[lane % len(levels)][0],
                    "normalization": levels[lane % len(levels)][1],
                    "seed": lane // len(levels),
                }
            )
            for lane in range(LANES)
        ]
        configs = [configs[place] for place in lane_order(configs)]
        model = build_model(configs)
        data = pack_data(configs, lane_axis=model.lane_axis, device="cpu", data_root=None)
        steps = Steps(model, data)
        steps.train_to(10)
        an_epoch = seconds(partial(one_step, steps)) * configs[0].steps_per_epoch()
        few, whole = (
            (index.shape[1], seconds(partial(evaluate, model, data, index)) / an_epoch)
            for index in (evaluation_examples(data), data.validation)
        )
        for examples, share in (few, whole):
            print(f"bench evaluations batch={batch} examples={examples} share_of_epoch={share:.4f}")
        for epochs in (8, 20):
            count = len(evaluation_steps(epochs=epochs, steps_per_epoch=configs[0].steps_per_epoch()))
            print(f"bench evaluations batch={batch} epochs={epochs} share_of_training={few[1] * count / epochs:.4f}")


def one_step(steps: Steps) -> None:
    """Train by one step."""
    steps.train_to(steps.taken + 1)


if __name__ == "__main__":
    main()
