"""Removes checkpoints that no trial goes on from any more."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine

from db import queue
from workers.checkpoints.store import CheckpointStore

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
"""The time between two rounds."""
SPARE_SECONDS = 120.0
"""How long a checkpoint lies about before it is removed: one that was just written may not be in the database yet."""


class Sweeper:
    """One round removes what no trial has been going on from for SPARE_SECONDS. That ends what a crash left, too, and
    needs no word from anybody; of several dispatchers each may do it.
    """

    def __init__(self, *, engine: Engine, store: CheckpointStore) -> None:
        self._engine = engine
        self._store = store
        self._spare: dict[str, datetime] = {}
        """Since when nobody wants them, as far as was seen."""

    def run_once(self, *, now: datetime) -> None:
        """One round."""
        there = self._store.names()  # before the database is asked: what comes later is looked at in a later round
        if there:
            with self._engine.begin() as conn:
                there -= queue.checkpoints_kept(conn)
        self._spare = {name: self._spare.get(name, now) for name in there}
        old = [name for name, since in self._spare.items() if now - since >= timedelta(seconds=SPARE_SECONDS)]
        if old:
            self._store.remove(old)
            log.info("removed %d checkpoints that nobody goes on from", len(old))
