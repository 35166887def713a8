"""What becomes of units over the frames of a trial (SCIENCE D1), from their dead flags.

Legend: T frames, L lanes, U units of a layer.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

SETTLED_PERCENT = 20
"""The last part of the steps, throughout which a unit that died must be dead."""


def classify(dead: Tensor, steps: Sequence[int]) -> Mapping[str, Tensor]:
    """Flags by fate, from dead [T, L, U] bool at ascending `steps`, step 0 first; each [L, U] bool.

    born_dead: dead at step 0. revived: born dead, and alive at the last frame. died: alive at step 0, and dead at
    every frame of the last 20% of the steps. transient: alive at step 0, dead at some frame and alive at a later one,
    and not died. The revived are some of the born dead; the other three exclude each other.
    """
    assert len(steps) == dead.shape[0] > 0
    settled = [frame for frame, step in enumerate(steps) if 100 * step >= (100 - SETTLED_PERCENT) * steps[-1]]
    born_dead = dead[0]
    died = ~born_dead & dead[settled].all(0)
    woke = (dead[:-1] & ~dead[1:]).any(0) if len(steps) > 1 else torch.zeros_like(born_dead)
    return {
        "born_dead_rate": born_dead,
        "died_rate": died,
        "transient_rate": ~born_dead & woke & ~died,
        "revived_rate": born_dead & ~dead[-1],
    }


def transitions(dead: Tensor) -> Mapping[str, tuple[Tensor, Tensor]]:
    """How often units changed from one frame to the next, and how often they could have: [L, U] float64 each, from dead
    [T, L, U] bool.

    death_hazard: 0 -> 1 among the frames at which the unit was alive. revival_hazard: 1 -> 0 among those at which it
    was dead; the last frame is followed by none. Their ratios are per interval of the schedule, whatever its length.
    """
    before, after = dead[:-1], dead[1:]
    return {
        "death_hazard": ((~before & after).double().sum(0), (~before).double().sum(0)),
        "revival_hazard": ((before & ~after).double().sum(0), before.double().sum(0)),
    }
