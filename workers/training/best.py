"""The networks of lowest validation loss, lane by lane, where `training.early_stopping.restore_best` asks for them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from actinium.trial import TrialConfig
from workers.checkpoints.state import PackState, networks, put_networks
from workers.layers import LaneModel


def restores_best(config: TrialConfig) -> bool:
    """Whether the trial's test is of its best network, not of its last one."""
    rule = config.training.early_stopping
    return rule is not None and rule.restore_best


class BestNetworks:
    """Copies of the lanes that ask for it, as they were at their best frame; costs nothing where none does."""

    def __init__(self, model: LaneModel) -> None:
        self._wanted = [restores_best(config) for config in model.configs]
        self._copy = model.snapshot() if any(self._wanted) else None
        self._lowest = [float("inf")] * len(self._wanted)

    def saw(self, model: LaneModel, losses: Sequence[float]) -> None:
        """The validation losses of all living lanes, with `model` as it is; NaN is never the lowest."""
        lower = [place for place, loss in enumerate(losses) if self._wanted[place] and loss < self._lowest[place]]
        for place in lower:
            self._lowest[place] = losses[place]
        if self._copy is not None and lower:
            _put(model, self._copy, lower)

    def instead_of(self, networks: LaneModel) -> LaneModel:
        """The networks, each lane that asked for it as it was at its best."""
        places = [place for place, lowest in enumerate(self._lowest) if lowest < float("inf")]
        if self._copy is None or not places:
            return networks
        mixed = networks.snapshot()
        _put(self._copy, mixed, places)
        return mixed

    def state(self) -> dict[str, NDArray[Any]]:
        """The copies and their losses as a checkpoint's arrays; nothing where no lane asks for them."""
        if self._copy is None:
            return {}
        return {**networks("best", self._copy), "best/lowest": np.array(self._lowest)}

    def restore(self, saved: PackState) -> None:
        """As they were. Raises CheckpointUnusable where something is missing."""
        if self._copy is not None:
            put_networks(saved, "best", self._copy)
            self._lowest = saved.array("best/lowest").tolist()

    def keep(self, lanes: Sequence[int]) -> None:
        """Forget all lanes but these."""
        self._wanted = [self._wanted[lane] for lane in lanes]
        self._lowest = [self._lowest[lane] for lane in lanes]
        if self._copy is not None:
            self._copy.keep(lanes)


@torch.no_grad()
def _put(source: LaneModel, into: LaneModel, places: Iterable[int]) -> None:
    lanes = list(places)
    for there, here in ((source.params, into.params), (source.statistics, into.statistics)):
        for name, tensor in there.items():
            here[name][lanes] = tensor[lanes].detach()
