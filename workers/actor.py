"""The Ray actor that trains packs: one process a CPU core or GPU, warm, one pack at a time.

torch is imported inside the actor's process only, once, at warm-up.
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from actinium.frame import Checkpointed
from actinium.trial import TrialConfig
from workers.stream import StreamItem


@dataclass(frozen=True, kw_only=True)
class ActorInfo:
    """Where an actor lives. `device`: `cpu`, or the accelerator's name. `memory_bytes`: of the machine, or of the
    accelerator.
    """

    node: str
    pid: int
    device: str
    memory_bytes: int


class PackTrainer:
    """The actor's class. `data_root` is where dataset files lie; the node's own ACTINIUM_DATA goes before it.

    Packs are saved at the address `checkpoints` every `checkpoint_seconds`, and when they are stopped; None: never.
    """

    def __init__(
        self,
        data_root: str | None = None,
        *,
        checkpoints: str | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        import torch

        import workers.checkpoints.keeper
        import workers.failures
        import workers.training.train  # noqa: F401 - imported once, so that the first pack need not wait for it
        from workers.checkpoints.store import CheckpointStore

        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        here = os.environ.get("ACTINIUM_DATA") or data_root
        self._data_root = Path(here) if here else None
        self._store = None if checkpoints is None else CheckpointStore(checkpoints)
        self._checkpoint_seconds = checkpoint_seconds
        self._last_words: Checkpointed | None = None
        self._device = "cuda" if torch.cuda.is_available() and ray.get_gpu_ids() else "cpu"

    def ping(self) -> ActorInfo:
        """Answered once the actor is warm."""
        import torch

        from workers.memory import machine_bytes
        from workers.training.train import describe_device

        on_cpu = self._device == "cpu"
        memory = machine_bytes() if on_cpu else torch.cuda.get_device_properties(self._device).total_memory
        device = describe_device(self._device)
        return ActorInfo(node=socket.gethostname(), pid=os.getpid(), device=device, memory_bytes=memory)

    def train(
        self,
        documents: Sequence[dict[str, Any]],
        dataset: NDArray[np.uint8] | None = None,
        checkpoint: str | None = None,
    ) -> Iterator[StreamItem]:
        """Train a pack given as TrialConfig documents: its layout, then its events, as they happen.

        `dataset`: the bytes of the file, for a task on a dataset that somebody added. `checkpoint`: the name of the one
        that the pack goes on from.

        A cancelled task ends before its next step, with a checkpoint that `last_words` tells of: Ray hands out nothing
        more of its stream. An exception of the trials' code ends the stream with a PackFailed that carries its
        traceback.
        """
        from workers.checkpoints.keeper import StoreKeeper
        from workers.checkpoints.state import decoded
        from workers.datasets.stored import SHELF
        from workers.failures import describe
        from workers.training.train import pack_layout, train_pack

        context = ray.get_runtime_context()
        configs: list[TrialConfig] = []
        self._last_words, store, keeper = None, self._store, None
        if store is not None:
            seconds = self._checkpoint_seconds
            keeper = StoreKeeper(store, seconds=seconds, clock=time.monotonic, stopped=context.is_canceled)
        try:
            configs = [TrialConfig.model_validate(document) for document in documents]
            stored = configs[0].task.stored
            if stored is not None and dataset is not None:
                SHELF.put(stored.sha256, dataset)
            yield pack_layout(configs[0])
            events = train_pack(
                configs,
                device=self._device,
                data_root=self._data_root,
                keeper=keeper,
                checkpoint=None if store is None or checkpoint is None else lambda: decoded(store.load(checkpoint)),
            )
            for event in events:
                if not context.is_canceled():
                    yield event
                elif isinstance(event, Checkpointed):
                    self._last_words = event
                elif keeper is None:
                    return
        except Exception as error:  # the rim of the trials' code: whatever it raises is the trials' failure
            yield describe(error, configs, device=self._device)

    def last_words(self) -> Checkpointed | None:
        """What a pack that was cancelled left to go on from; asked once, after its end."""
        words, self._last_words = self._last_words, None
        return words


PackActor: Any = ray.remote(PackTrainer)
"""`PackActor.options(...).remote(data_root)`; `train` is called with `num_returns="streaming"`."""
