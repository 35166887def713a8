"""Losses and errors of a pack on given examples, without training.

Legend: L lanes, B examples, n examples in all.
"""

import math

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.layers import LaneModel, Pass
from workers.normalizations.apply import keeps_statistics
from workers.objectives import Scores
from workers.training.batches import PackData

CHUNK_ELEMENTS = {"cpu": 2**20, "cuda": 2**28}
"""Elements of the largest layer, all lanes together, in one pass. More costs memory, on a CPU cache misses too."""

GAP_BATCH = 256
"""Most examples in a batch whose own statistics stand in for the running ones."""

GAP_EXAMPLES = 2048
"""Most test examples of a lane on which the train-eval gap is measured."""

PRECISE_EXAMPLES = 2048
"""Most training examples of a lane over which its running statistics are averaged anew."""

GAP_FRAMES = 3
"""The gap takes two passes over those examples: it is measured at every third frame, and at the end."""


def gap_steps(config: TrialConfig) -> frozenset[int]:
    """The measured steps at which the train-eval gap is measured too, the first and the last included."""
    steps = config.probe_steps()
    return frozenset([*steps[::GAP_FRAMES], steps[-1]])


def elements_per_example(config: TrialConfig) -> int:
    """Elements of the largest layer for one example in one lane; of the last one where it gives numbers."""
    numbers = 0 if config.objective() == "classification" else config.outputs()
    return max(numbers, config.widest())


@torch.no_grad()
def evaluate(model: LaneModel, data: PackData, index: Tensor) -> Scores:
    """Scores in eval mode (running statistics) on the examples at `index` [L, n], in as few passes as fit."""
    lanes, count = index.shape
    room = CHUNK_ELEMENTS[index.device.type] // (lanes * elements_per_example(model.configs[0]))
    tally = data.tally()
    for chunk in index.tensor_split(math.ceil(count / max(room, 1)), dim=1):
        inputs, targets = data.take(chunk)
        tally.add(model.forward(model.params, inputs, Pass.evaluation()), targets)
    return tally.scores()


@torch.no_grad()
def train_eval_gap(model: LaneModel, data: PackData) -> Tensor:
    """Err(running statistics) - Err(the batch's own) on the same test batches (SCIENCE D3): [L], on the device.

    Test examples up to GAP_EXAMPLES, in equal batches of at most GAP_BATCH; the batches are the same whatever the
    pack's width. NaN for lanes without batch normalization.
    """
    gaps = data.scale.new_full((len(model.configs),), math.nan)
    batch_lanes = [lane for lane, config in enumerate(model.configs) if keeps_statistics(config.normalization)]
    if not batch_lanes:
        return gaps
    first, end = batch_lanes[0], batch_lanes[-1] + 1
    index = data.test[first:end, :GAP_EXAMPLES]
    batches = math.ceil(index.shape[1] / GAP_BATCH)
    room = CHUNK_ELEMENTS[index.device.type] // (GAP_BATCH * elements_per_example(model.configs[0]))
    for start in range(first, end, max(room, 1)):
        lanes = min(max(room, 1), end - start)
        part, part_data = model.narrow(start, lanes), data.narrow(start, lanes)
        own, running = part_data.tally(), part_data.tally()
        for chunk in part_data.test[:, : index.shape[1]].tensor_split(batches, dim=1):
            inputs, targets = part_data.tested().take(chunk)
            for pass_, tally in ((Pass.measuring(), own), (Pass.evaluation(), running)):
                tally.add(part.forward(part.params, inputs, pass_), targets)
        gaps[start : start + lanes] = running.scores().error - own.scores().error
    return gaps


@torch.no_grad()
def with_precise_statistics(model: LaneModel, data: PackData) -> LaneModel:
    """A copy whose running statistics are those of its weights as they are (Wu & Johnson 2021).

    The mean over batches of at most GAP_BATCH of the lane's first training examples, PRECISE_EXAMPLES at most, of the
    batches' means and unbiased variances; every batch is normalized by itself, with no noise and no bounds.
    """
    precise = model.snapshot()
    index = data.train[:, :PRECISE_EXAMPLES]
    batches = math.ceil(index.shape[1] / GAP_BATCH)
    room = CHUNK_ELEMENTS[index.device.type] // (GAP_BATCH * elements_per_example(model.configs[0]))
    lanes, width = len(model.configs), max(room, 1)
    for start in range(0, lanes, width):
        count = min(width, lanes - start)
        part, part_data = precise.narrow(start, count), data.narrow(start, count)
        for number, chunk in enumerate(index[start : start + count].tensor_split(batches, dim=1)):
            part.forward(part.params, part_data.take(chunk)[0], Pass.averaging(number))
    return precise


def precise_error(model: LaneModel, data: PackData) -> Tensor:
    """The test error with precise statistics (SCIENCE D3): [L], on the device; NaN for lanes that keep none."""
    kept = [keeps_statistics(config.normalization) for config in model.configs]
    if not any(kept):
        return data.scale.new_full((len(kept),), math.nan)
    error = evaluate(with_precise_statistics(model, data), data.tested(), data.test).error
    return torch.where(torch.tensor(kept, device=error.device), error, math.nan)
