"""Removes the files of checkpoints that no trial will go on from."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine

from db import queue
from workers.checkpoints.store import CheckpointStore

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0
"""The time between two rounds."""
SPARE_SECONDS = 120.0
"""A file is removed only after being unused for so long: a new checkpoint is written before the database knows it."""


class Sweeper:
    """One round removes the checkpoints that no job has named for SPARE_SECONDS, those left by a crash included.
    Several dispatchers may each run one.
    """

    def __init__(self, *, engine: Engine, store: CheckpointStore) -> None:
        self._engine = engine
        self._store = store
        self._spare: dict[str, datetime] = {}
        """By checkpoint, when it was first seen without a job that names it."""

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
