"""A pack between two steps, as bytes: what it needs to go on with the numbers that it would have had.

Legend: L lanes, F frames, S series. Random numbers are keyed by (seed, stream, step), so that the position is all that
there is to save of them. The bytes are an npz of arrays and one JSON document: nothing in them is ever unpickled.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actinium.errors import CheckpointUnusable
from actinium.trial import TrialConfig
from workers.layers import LaneModel

FORMAT = 1
"""Raised whenever what is saved changes its meaning: older checkpoints are then not used."""
DOCUMENT = "document"
"""The entry of everything that is no array."""


@dataclass(frozen=True, kw_only=True)
class PackState:
    """A pack after `step` steps, lanes in its model's order.

    digests: of the lanes' configs, seeds and spec version included. steps, times: of the frames until now. elapsed:
    seconds since the pack began to train. prepared: what procedures measured before step 0, of every lane. arrays: all
    that has a lane axis, which leads; the first word of a name says whose it is (`params/layer_01.weight`).
    """

    digests: tuple[str, ...]
    step: int
    steps: tuple[int, ...]
    times: tuple[float, ...]
    elapsed: float
    prepared: tuple[Mapping[str, float], ...]
    arrays: Mapping[str, NDArray[Any]]

    def of(self, configs: Sequence[TrialConfig]) -> "PackState":
        """The lanes of these trials, in their order. Raises CheckpointUnusable where one is not in it."""
        places = {digest: place for place, digest in reversed(list(enumerate(self.digests)))}
        wanted = [config.digest() for config in configs]
        missing = [config.run_name() for config, digest in zip(configs, wanted, strict=True) if digest not in places]
        if missing:
            raise CheckpointUnusable(f"it holds no lane of {missing[0]} as that is configured")
        lanes = [places[digest] for digest in wanted]
        return replace(
            self,
            digests=tuple(wanted),
            prepared=tuple(self.prepared[lane] for lane in lanes),
            arrays={name: array[lanes] for name, array in self.arrays.items()},
        )

    def array(self, name: str) -> NDArray[Any]:
        """An array by its whole name. Raises CheckpointUnusable where there is none."""
        if name not in self.arrays:
            raise CheckpointUnusable(f"it holds no {name}")
        return self.arrays[name]

    def part(self, word: str) -> dict[str, Tensor]:
        """The arrays whose names begin with `word/`, by the rest of their names, in memory that torch has laid out: the
        last bit of a product can depend on where its factors lie.
        """
        head = f"{word}/"
        return {
            name.removeprefix(head): torch.tensor(array) for name, array in self.arrays.items() if name.startswith(head)
        }


class PastFrames:
    """The frames of the living lanes until now: their steps, times, and rows [L, S], lanes in the model's order."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.times: list[float] = []
        self._rows: list[NDArray[np.float32]] = []

    def add(self, step: int, time: float, rows: NDArray[np.float32]) -> None:
        """One step's frames; the rows are not changed any more."""
        self.steps.append(step)
        self.times.append(time)
        self._rows.append(rows)

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        self._rows = [rows[list(lanes)] for rows in self._rows]

    def __iter__(self) -> Iterator[tuple[int, float, NDArray[np.float32]]]:
        yield from zip(self.steps, self.times, self._rows, strict=True)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """`frames/values` [L, F, S], as a state's array."""
        return {"frames/values": np.stack(self._rows, axis=1)}

    @classmethod
    def of(cls, state: PackState) -> Self:
        """Those of a state. Raises CheckpointUnusable where they are missing."""
        past = cls()
        for step, time, rows in zip(state.steps, state.times, state.array("frames/values").swapaxes(0, 1), strict=True):
            past.add(step, time, rows)
        return past


class Keeper(Protocol):
    """Whoever wants a pack's checkpoints."""

    def due(self) -> bool:
        """Whether one should be made now; asked before every step."""
        ...

    def stopping(self) -> bool:
        """Whether the pack should end after it."""
        ...

    def keep(self, state: PackState) -> str:
        """Keep a copy of it, as its arrays may be the pack's own; its name. May raise anything: the pack goes on."""
        ...


def encoded(state: PackState) -> bytes:
    """The state as bytes."""
    document = {
        "format": FORMAT,
        "digests": state.digests,
        "step": state.step,
        "steps": state.steps,
        "times": state.times,
        "elapsed": state.elapsed,
        "prepared": [dict(metrics) for metrics in state.prepared],
    }
    arrays: dict[str, Any] = {**state.arrays, DOCUMENT: np.frombuffer(json.dumps(document).encode(), np.uint8)}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def decoded(content: bytes) -> PackState:
    """The state that was encoded. Raises CheckpointUnusable for another format, and whatever numpy does for no npz."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    document = json.loads(arrays.pop(DOCUMENT).tobytes())
    if document["format"] != FORMAT:
        raise CheckpointUnusable(f"its format is {document['format']}, and this version reads {FORMAT}")
    return PackState(
        digests=tuple(document["digests"]),
        step=document["step"],
        steps=tuple(document["steps"]),
        times=tuple(document["times"]),
        elapsed=document["elapsed"],
        prepared=tuple(document["prepared"]),
        arrays=arrays,
    )


def named(word: str, tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """Tensors as a state's arrays, their names behind `word/`."""
    return {f"{word}/{name}": tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def networks(word: str, model: LaneModel) -> dict[str, NDArray[Any]]:
    """Parameters and running statistics as a state's arrays."""
    return named(f"{word}/params", model.params) | named(f"{word}/statistics", model.statistics)


@torch.no_grad()
def put_networks(state: PackState, word: str, model: LaneModel) -> None:
    """Parameters and running statistics as they were saved, all of them, in the order they had.

    A pack that once had other lanes may hold parameters that none of the present ones uses; they count for nothing, but
    keep sums over all parameters as they were. Raises CheckpointUnusable where one is missing or has another shape.
    """
    for here, name in ((model.params, "params"), (model.statistics, "statistics")):
        saved = state.part(f"{word}/{name}")
        for key, tensor in here.items():
            if key not in saved or saved[key].shape != tensor.shape:
                raise CheckpointUnusable(f"it holds no {key} of shape {list(tensor.shape)}")
        like = next(iter(here.values()), None)
        moved = {} if like is None else {key: tensor.to(like.device, like.dtype) for key, tensor in saved.items()}
        leaf = like is not None and like.requires_grad
        here.clear()
        here.update({key: tensor.requires_grad_(leaf) for key, tensor in moved.items()})


@torch.no_grad()
def put_tensors(saved: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    """Copy saved tensors over those of equal names. Raises CheckpointUnusable where one is missing."""
    for name, tensor in into.items():
        if name not in saved or saved[name].shape != tensor.shape:
            raise CheckpointUnusable(f"it holds no {name} of shape {list(tensor.shape)}")
        tensor.copy_(saved[name])
