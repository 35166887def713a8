"""A dataset in memory, and how its inputs are scaled. Legend: N examples, C channels, H height, W width."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from actinium.datasets.official import default_root
from actinium.datasets.table import DATASETS
from actinium.definitions import did_you_mean
from actinium.errors import InvalidInput
from workers.datasets.digits import SHIPPED
from workers.datasets.files import read_official

CHUNK = 4096
ROUNDING = {torch.float32: torch.finfo(torch.float32).eps, torch.float64: 2.0**-40}
"""By the inputs' type: the relative spread that is rounding, of the numbers themselves or of what made them."""


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """A whole dataset: `inputs` [N, C, H, W] in raw pixel units, float32 (float64 where float32 cannot hold a stored
    dataset's numbers), `labels` [N] int64.

    `targets`, float32 and not scaled: [N, K] where the objective is regression, images as the inputs where it is
    reconstruction; the labels are then 0 for all, so that a split is drawn at random.
    """

    inputs: Tensor
    labels: Tensor
    targets: Tensor | None = None
    test_inputs: Tensor | None = None
    """Where test examples have another height H': [N, C, H', W]. Example i has the label and the target of input i."""


def load(name: str, data_root: Path | None = None) -> Arrays:
    """The dataset, read once per process and shared: callers must not write to it.

    `data_root` is the folder that holds one folder a dataset; None means ACTINIUM_DATA or its default. Raises
    InvalidInput for a name that is not known or files that are not the official ones, DatasetMissing for absent files.
    """
    if name not in DATASETS:
        raise InvalidInput(f"no dataset is called {name[:80]!r}; {did_you_mean(name[:80], list(DATASETS))}")
    if DATASETS[name].generated():
        raise InvalidInput(f"{name} is generated for a task and a seed; call workers.datasets.load_task")
    return _load(name, (data_root or default_root()).absolute())


@lru_cache(maxsize=2)
def _load(name: str, root: Path) -> Arrays:
    images, labels = SHIPPED[name]() if name in SHIPPED else read_official(name, root)
    inputs = torch.empty(images.shape, dtype=torch.float32)
    inputs.numpy()[...] = images
    return Arrays(inputs=inputs, labels=torch.tensor(labels, dtype=torch.int64))


def standardize(inputs: Tensor, train: Tensor, scaling: Literal["input", "channel"]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of `inputs[train]`, to z-score with, of the inputs' type, to broadcast over them.

    `input`: one of each an input (a pixel), [1, C, H, W]; `channel`: one a channel, [1, C, 1, 1]. The deviation is the
    biased one (divisor n); where a pixel never varies it is 1, so that it becomes 0 and not NaN: what varies by less
    than ROUNDING of its mean does not. Sums are in float64.
    """
    axes = (0,) if scaling == "input" else (0, 2, 3)
    parts = torch.split(train, CHUNK)
    count = train.numel() * (1 if scaling == "input" else inputs.shape[2] * inputs.shape[3])
    mean = torch.stack([inputs[part].double().sum(axes, keepdim=True) for part in parts]).sum(0) / count
    squares = torch.stack([(inputs[part].double() - mean).square().sum(axes, keepdim=True) for part in parts]).sum(0)
    std = (squares / count).sqrt()
    constant = std <= ROUNDING[inputs.dtype] * mean.abs()
    return mean.to(inputs.dtype), torch.where(constant, 1.0, std).to(inputs.dtype)
