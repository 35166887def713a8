"""Looks whether MLflow still shows what it was told: people delete there, and a database can be lost."""

import logging
from datetime import datetime

from sqlalchemy import Engine

from db import mirror
from services.sink.tracking import Tracking

log = logging.getLogger(__name__)

INSPECTION_SECONDS = 5.0
"""The time between two studies that are looked at."""


class Inspection:
    """One round looks at one study, each in its turn. What is missing is noted for `actinium doctor`. It is not put
    back: whoever deleted it may have meant it, and `actinium mirror` brings it back.
    """

    def __init__(self, *, engine: Engine, tracking: Tracking) -> None:
        self._engine = engine
        self._tracking = tracking
        self._after = 0

    def run_once(self, *, now: datetime) -> None:
        """Look at the next study. Raises Unavailable while MLflow is away."""
        with self._engine.begin() as conn:
            study = mirror.next_mirrored(conn, after=self._after)
        if study is None:
            self._after = 0
            return
        self._after = study.study_id
        state = self._tracking.experiment_state(study.experiment_id, study_id=study.study_id)
        deleted = [] if state is not None else self._tracking.deleted_runs(study.experiment_id)
        with self._engine.begin() as conn:
            runs = mirror.count_runs(conn, study.study_id, deleted)
            mirror.record(conn, study.study_id, experiment=state, deleted_runs=runs, seen_at=now)
        if state is not None or runs:
            log.warning("study %d: its experiment is %s, %d runs are deleted", study.study_id, state or "there", runs)
