"""When a pack is saved: every so often, and when it is stopped."""

import math
from collections.abc import Callable

from workers.checkpoints.state import PackState, encoded
from workers.checkpoints.store import CheckpointStore

MOST_SHARE = 0.05
"""The largest share of a pack's time that its checkpoints may take: where they are slow, they are rarer."""


class StoreKeeper:
    """A pack's `workers.checkpoints.state.Keeper`: a checkpoint every `seconds`, and one when the pack is `stopped`."""

    def __init__(
        self, store: CheckpointStore, *, seconds: float, clock: Callable[[], float], stopped: Callable[[], bool]
    ) -> None:
        self._store, self._seconds, self._clock, self._stopped = store, seconds, clock, stopped
        self._due_at = clock() + seconds

    def due(self) -> bool:
        """Whether it is time, or the end."""
        return self._clock() >= self._due_at or self._stopped()

    def stopping(self) -> bool:
        """Whether somebody has stopped the pack."""
        return self._stopped()

    def keep(self, state: PackState) -> str:
        """Write it down; the next one is due later where this took long, also in vain."""
        begun, self._due_at = self._clock(), math.inf
        try:
            return self._store.save(encoded(state))
        finally:
            now = self._clock()
            self._due_at = now + max(self._seconds, (now - begun) / MOST_SHARE)
