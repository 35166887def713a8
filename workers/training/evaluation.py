"""Losses and errors of a pack on given examples, without training.

Legend: L lanes, B examples, n examples in all.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.layers import LaneModel, Pass
from workers.normalizations.apply import keeps_statistics
from workers.objectives import Scores
from workers.training.batches import PackData
from workers.training.constant_guess import ConstantGuess, learned_classes

CHUNK_ELEMENTS = {"cpu": 2**20, "cuda": 2**28}
"""Elements of the largest layer, all lanes together, in one pass. More costs memory, on a CPU cache misses too."""

GAP_EXAMPLES = 2048
"""Most test examples of a lane on which the train-eval gap is measured."""

PRECISE_BATCH = 256
PRECISE_EXAMPLES = 2048
"""Most training examples of a lane over which its running statistics are averaged anew, in batches of PRECISE_BATCH."""

JUDGED_POINTS = 8
"""The gap takes two passes over those examples, and the whole validation part one: they are measured at so many of the
schedule's points.
"""

EVALUATION_SHARE = 10
MOST_WITHOUT_THINNING = 64
"""Evaluations are on as many validation examples as a tenth of the training examples, and this many at least."""


def evaluation_examples(data: PackData) -> Tensor:
    """The examples on which lanes are evaluated while they train: the first of their validation parts, [L, n].

    n is a tenth of the training examples (all of the validation part, where that is smaller), so that an evaluation
    costs a thirtieth of an epoch's passes: four an epoch, then one, are less than a tenth of a training.
    """
    most = max(MOST_WITHOUT_THINNING, data.train.shape[1] // EVALUATION_SHARE)
    return data.validation[:, :most]


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

    The batches are those of the training: of its size, and with its ghosts; of up to GAP_EXAMPLES test examples, as
    many as fill whole batches (a test part that is smaller than a batch is one). NaN for lanes without batch
    normalization.
    """
    gaps = data.scale.new_full((len(model.configs),), math.nan)
    batch_lanes = [lane for lane, config in enumerate(model.configs) if keeps_statistics(config.normalization)]
    if not batch_lanes:
        return gaps
    first, end = batch_lanes[0], batch_lanes[-1] + 1
    count = min(data.test.shape[1], GAP_EXAMPLES)
    size = min(model.configs[0].training.batch_size, count)
    room = CHUNK_ELEMENTS[data.test.device.type] // (size * elements_per_example(model.configs[0]))
    for start in range(first, end, max(room, 1)):
        lanes = min(max(room, 1), end - start)
        part, part_data = model.narrow(start, lanes), data.narrow(start, lanes)
        own, running = part_data.tally(), part_data.tally()
        for chunk in torch.split(part_data.test[:, : count - count % size], max(room // lanes, 1) * size, dim=1):
            inputs, targets = part_data.tested().take(chunk)
            for how, tally in ((Pass.measuring(batch=size), own), (Pass.evaluation(), running)):
                tally.add(part.forward(part.params, inputs, how), targets)
        gaps[start : start + lanes] = running.scores().error - own.scores().error
    kept = torch.tensor([keeps_statistics(config.normalization) for config in model.configs], device=gaps.device)
    return torch.where(kept, gaps, math.nan)  # lanes without lie between those with them


@torch.no_grad()
def learned(
    model: LaneModel, data: PackData, constants: Sequence[ConstantGuess], errors: Sequence[float]
) -> list[bool]:
    """Whether each lane's network beats the best constant guess on its validation part, where its error is `errors`:
    of classes by its balanced accuracy (`learned_classes`), else by its error.
    """
    if data.objective != "classification":
        return [error < constant.error for error, constant in zip(errors, constants, strict=True)]
    room = CHUNK_ELEMENTS[data.validation.device.type] // (len(constants) * elements_per_example(model.configs[0]))
    predicted = torch.cat(
        [
            model.forward(model.params, data.take(chunk)[0], Pass.evaluation()).argmax(-1)
            for chunk in torch.split(data.validation, max(room, 1), dim=1)
        ],
        1,
    )
    labels = data.labels[data.validation]
    return [learned_classes(*lane) for lane in zip(predicted.cpu().numpy(), labels.cpu().numpy(), strict=True)]


@torch.no_grad()
def with_precise_statistics(model: LaneModel, data: PackData) -> LaneModel:
    """A copy whose running statistics are those of its weights as they are (Wu & Johnson 2021).

    The mean over batches of at most PRECISE_BATCH of the lane's first training examples, PRECISE_EXAMPLES at most, of
    the batches' means and unbiased variances; every batch is normalized by itself, with no noise and no bounds. The
    model itself, where no lane keeps statistics.
    """
    if not any(keeps_statistics(config.normalization) for config in model.configs):
        return model
    precise = model.snapshot()
    index = data.train[:, :PRECISE_EXAMPLES]
    batches = math.ceil(index.shape[1] / PRECISE_BATCH)
    room = CHUNK_ELEMENTS[index.device.type] // (PRECISE_BATCH * elements_per_example(model.configs[0]))
    lanes, width = len(model.configs), max(room, 1)
    for start in range(0, lanes, width):
        count = min(width, lanes - start)
        part, part_data = precise.narrow(start, count), data.narrow(start, count)
        for number, chunk in enumerate(index[start : start + count].tensor_split(batches, dim=1)):
            part.forward(part.params, part_data.take(chunk)[0], Pass.averaging(number))
    return precise


def precise_error(precise: LaneModel, data: PackData) -> Tensor:
    """The test error of networks with precise statistics (SCIENCE D3): [L], on the device; NaN for lanes that keep
    none.
    """
    kept = [keeps_statistics(config.normalization) for config in precise.configs]
    if not any(kept):
        return data.scale.new_full((len(kept),), math.nan)
    error = evaluate(precise, data.tested(), data.test).error
    return torch.where(torch.tensor(kept, device=error.device), error, math.nan)
