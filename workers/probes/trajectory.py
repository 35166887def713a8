"""What becomes of units over the frames of a trial (SCIENCE D1), from their dead flags.

Legend: T frames, L lanes, U units of a layer.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from actinium.schedules import SETTLED_POINTS, SETTLED_SHARE, settled


def classify(dead: Tensor, steps: Sequence[int]) -> Mapping[str, Tensor]:
    """Shares by fate, from dead [T, L, U] bool at ascending `steps`, step 0 first; each [L, U] float64 of 0 and 1.

    born_dead: dead at step 0. revived: born dead, and alive at the last frame. dead_at_end: alive at step 0, and dead
    at the last frame. died: alive at step 0, and dead at every frame of the last fifth of the steps. transient: alive
    at step 0, dead at some frame and alive at a later one, and not died. The revived are some of the born dead, the
    died some of those dead at the end.

    `died` and `transient` are NaN where the last fifth has fewer than five frames, though it has as many steps: one
    frame says that a unit is dead at the end, not that it stays so.
    """
    assert len(steps) == dead.shape[0] > 0
    last = steps[-1]
    of_end = frozenset(settled(steps, last))
    enough = len(of_end) >= min(SETTLED_POINTS, last - int(last * (1 - SETTLED_SHARE)))
    born_dead = dead[0]
    died = ~born_dead & dead[[frame for frame, step in enumerate(steps) if step in of_end]].all(0)
    woke = (dead[:-1] & ~dead[1:]).any(0) if len(steps) > 1 else torch.zeros_like(born_dead)
    known = torch.tensor(1.0 if enough else torch.nan, dtype=torch.float64, device=dead.device)
    return {
        "born_dead_rate": born_dead.double(),
        "died_rate": died.double() * known,
        "dead_at_end_rate": (~born_dead & dead[-1]).double(),
        "transient_rate": (~born_dead & woke & ~died).double() * known,
        "revived_rate": (born_dead & ~dead[-1]).double(),
    }


def settled_frames(steps: Sequence[int]) -> int:
    """On how many frames of the last fifth of the steps `died_rate` rests."""
    return len(settled(steps, steps[-1]))


def transitions(dead: Tensor) -> Mapping[str, tuple[Tensor, Tensor]]:
    """How often units changed from one frame to the next, and how often they could have: [L, U] float64 each, from dead
    [T, L, U] bool.

    death_hazard: 0 -> 1 among the frames at which the unit was alive. revival_hazard: 1 -> 0 among those at which it
    was dead; the last frame is followed by none. Their ratios are per interval of the trajectory, whatever its length.
    """
    before, after = dead[:-1], dead[1:]
    return {
        "death_hazard": ((~before & after).double().sum(0), (~before).double().sum(0)),
        "revival_hazard": ((before & ~after).double().sum(0), before.double().sum(0)),
    }
