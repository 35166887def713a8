"""Random numbers inside a training step: one draw for every (seed, step, stream, layer), always on the CPU.

Lanes of one seed share their draws, whatever their levels, and a lane alone draws what it draws in company. Legend: l
lanes of a slice.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from workers.seeding import generator


def step_stream(name: str, layer: str, step: int) -> str:
    """The stream of what `name` draws at `layer` in one training step; steps count from 0."""
    return f"step/{name}/{layer}/{step:08d}"


class StepDraws:
    """What the lanes of a pack may draw in one training step; made anew for every step.

    `seeds` of the living lanes, in the model's order. Numbers are drawn as float32 and handed over on `device` as
    `dtype`. The same question has the same answer, however often it is asked and for whichever slice of lanes.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        step: int,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._seeds, self._step = tuple(seeds), step
        self._device, self._dtype = device, dtype
        self._drawn: dict[object, Tensor] = {}

    @property
    def step(self) -> int:
        """The training step, counted from 0."""
        return self._step

    def uniform(self, name: str, layer: str, lanes: slice, shape: Sequence[int]) -> Tensor:
        """[l, *shape], uniform on [0, 1), for the pack's lanes `lanes`; `layer` as it is named in the parameters."""
        return self._stacked(name, layer, lanes, shape, torch.rand)

    def normal(self, name: str, layer: str, lanes: slice, shape: Sequence[int]) -> Tensor:
        """[l, *shape], standard normal, for the pack's lanes `lanes`; `layer` as it is named in the parameters."""
        return self._stacked(name, layer, lanes, shape, torch.randn)

    def _stacked(
        self, name: str, layer: str, lanes: slice, shape: Sequence[int], draw: Callable[..., Tensor]
    ) -> Tensor:
        rows = []
        for seed in self._seeds[lanes]:
            key = seed, name, layer, tuple(shape), draw
            if key not in self._drawn:
                source = generator(seed, step_stream(name, layer, self._step))
                self._drawn[key] = draw(tuple(shape), generator=source)
            rows.append(self._drawn[key])
        return torch.stack(rows).to(device=self._device, dtype=self._dtype)
