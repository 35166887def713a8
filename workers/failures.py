"""What became of a pack whose code raised: whose fault it is, and what may help."""

import traceback
from collections.abc import Sequence

import torch

from actinium.errors import DatasetMissing
from actinium.trial import TrialConfig
from workers.stream import PackFailed

MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""How RuntimeErrors of PyTorch say that memory was lacking, on the host (Linux, Windows) and in CUDA's libraries."""


def describe(error: Exception, configs: Sequence[TrialConfig], *, device: str) -> PackFailed:
    """What to tell of an exception that is being handled: its traceback, or the mend alone where that says it all."""
    if isinstance(error, DatasetMissing) and configs and concerns_all(error, configs):
        return PackFailed(error=str(error), final=True)
    return PackFailed(
        error="".join(traceback.format_exception(error)),
        out_of_memory=ran_out_of_memory(error),
        device_lost=device_lost(device),
    )


def concerns_all(error: DatasetMissing, configs: Sequence[TrialConfig]) -> bool:
    """Whether what is missing is the pack's own dataset, the same for all lanes; not what one lane transfers from."""
    task = configs[0].task
    return len(configs) == 1 or error.dataset == (task.stored.sha256 if task.stored else task.dataset)


def ran_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory was lacking, on the device or on the host."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in MEMORY_WORDS)
    )


def device_lost(device: str) -> bool:
    """Whether the device is of no use to this process any more, as CUDA's are after a fault inside a kernel."""
    if device == "cpu":
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
