"""Procedures: initializations that train. One entry a level; they run inside a trial, before its step 0.

Their lanes leave the pack in groups that take equal steps, are prepared together, and come back; no other lane notices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import torch

from actinium.trial import TrialConfig
from workers.layers import LaneModel
from workers.procedures.greedy_autoencoder import train_greedily
from workers.procedures.transfer import train_on_source
from workers.training.batches import PackData

Procedure: TypeAlias = Callable[[LaneModel, PackData, Path | None], list[dict[str, float]]]
"""Moves the parameters of all lanes of a model, in place, and says what it measured of each."""

PROCEDURES: Mapping[str, Procedure] = {
    "greedy_autoencoder": train_greedily,
    "transfer": train_on_source,
}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A lane's share of the time that its procedure took, and what that measured."""

    seconds: float = 0.0
    metrics: Mapping[str, float]


NOTHING = Prepared(metrics={})


def prepare(model: LaneModel, data: PackData, *, data_root: Path | None, clock: Callable[[], float]) -> list[Prepared]:
    """Run the lanes' procedures; what came of it for every lane, in the model's order. Raises DatasetMissing."""
    done = [NOTHING] * len(model.configs)
    for places in _groups(model.configs).values():
        begun = clock()
        part, part_data = model.snapshot(), replace(data)
        part.keep(places)
        part_data.keep(places)
        measured = PROCEDURES[part.configs[0].initialization.name](part, part_data, data_root)
        _bring_back(model, part, places)
        seconds = (clock() - begun) / len(places)
        for place, metrics in zip(places, measured, strict=True):
            done[place] = Prepared(seconds=seconds, metrics={**metrics, "pretraining_seconds": seconds})
    return done


def _groups(configs: Sequence[TrialConfig]) -> dict[tuple[object, ...], list[int]]:
    """Places of the lanes whose procedures take equal steps on one dataset, in the model's order."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, config in enumerate(configs):
        level = config.initialization
        if level.name in PROCEDURES:
            key = level.name, level.parameters["epochs"], level.parameters.get("source")
            groups.setdefault(key, []).append(place)
    return groups


@torch.no_grad()
def _bring_back(model: LaneModel, part: LaneModel, places: list[int]) -> None:
    for whole, prepared in ((model.params, part.params), (model.statistics, part.statistics)):
        for name, tensor in prepared.items():
            whole[name][places] = tensor.detach()
