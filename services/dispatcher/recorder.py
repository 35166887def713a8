"""Writes a pack's news to the database: frames, summaries, artifacts, job states and outbox rows in one transaction."""

import logging
from datetime import datetime

from sqlalchemy import Connection, Engine

from actinium.job import Attempt, FailureClass
from db import artifacts, frames, queue, widths
from db.engine import retry_deadlocks
from services.dispatcher.ledger import Ledger
from services.dispatcher.pack import PackRun, Unsaved
from workers.memory import memory_need
from workers.packing import counted_as

log = logging.getLogger(__name__)


class Recorder:
    """Saves the news of packs. When saving raises, the news stays with its pack for a later call."""

    def __init__(self, *, engine: Engine, ledger: Ledger) -> None:
        self._engine = engine
        self._ledger = ledger

    @retry_deadlocks
    def save(self, pack: PackRun, *, now: datetime) -> None:
        """Write everything of `pack` that is not in the database yet. Raises when the database is away.

        Where the answer to a commit was lost, the next call writes the same again, which changes nothing: frames that
        are there stay, and the fence lets an attempt end once. Of attempts that are over nothing is taken, frames
        neither.
        """
        unsaved = pack.unsaved()
        if unsaved or pack.ended():
            with self._engine.begin() as conn:
                taken, left = 0, queue.Aftermath()
                if unsaved.layout is not None and unsaved.frames:
                    taken = frames.write(conn, unsaved.layout, unsaved.frames, ending=unsaved.ending())
                elif unsaved.results and unsaved.unfinished:
                    queue.hold(conn, unsaved.ending())
                accepted = queue.complete_many(conn, now=now, results=unsaved.results, aftermath=left)
                artifacts.write(conn, {trial: own for trial, own in unsaved.artifacts.items() if trial in accepted})
                if unsaved.broken is not None and unsaved.unfinished:
                    queue.fail(
                        conn,
                        now=now,
                        attempts=unsaved.unfinished,
                        failure_class=unsaved.broken.failure_class,
                        error=unsaved.broken.error,
                        halve=unsaved.broken.halve,
                        final=unsaved.broken.final,
                        crashed=unsaved.broken.crashed,
                        aftermath=left,
                    )
                left.settle(conn, now=now)
                if pack.ended():
                    self._remember(conn, pack, unsaved, now=now)
            if taken < len(unsaved.frames):
                log.warning("%d frames are of attempts that are over, and were dropped", len(unsaved.frames) - taken)
            if len(accepted) < len(unsaved.results):
                log.info("%d results were not wanted any more", len(unsaved.results) - len(accepted))
            if unsaved.broken is not None and unsaved.broken.halve and len(unsaved.unfinished) == 1:
                self._stop_cell(pack, unsaved.unfinished[0], now=now)
        told = pack.unsaved_checkpoint()
        if told is not None:
            last, attempts = told
            with self._engine.begin() as conn:
                queue.checkpointed(conn, attempts=attempts, step=last.step, name=last.name)
        self._ledger.remove(pack.saved())

    @retry_deadlocks
    def _stop_cell(self, pack: PackRun, attempt: Attempt, *, now: datetime) -> None:
        """A trial has run out of memory alone: its cell's other seeds need as much."""
        config = pack.leases[0].config  # a pack's trials need the same
        error = (
            f"stopped: {queue.MEMORY_LIMIT} times a trial of this cell ran out of memory alone, last trial "
            f"{attempt.trial_id}; it needs {memory_need(config)}. Give the workers more memory, or the trial less to "
            "do (batch size, width, depth), then retry"
        )
        with self._engine.begin() as conn:
            stopped = queue.stop_cell(conn, now=now, trial_id=attempt.trial_id, error=error, who="memory")
        if stopped:
            log.warning(
                "stopped %d trials of the cell of trial %d: it needs too much memory", stopped, attempt.trial_id
            )

    def _remember(self, conn: Connection, pack: PackRun, unsaved: Unsaved, *, now: datetime) -> None:
        """Remember the pack's time per lane, or that it ran out of memory, under its width."""
        pack_key, lanes, seconds = pack.leases[0].pack_key, len(unsaved.unfinished), pack.seconds_per_lane_step()
        if unsaved.broken is not None and unsaved.broken.halve and lanes > 1:
            widths.out_of_memory(conn, pack_key=pack_key, device=pack.device, width=lanes, now=now)
        elif seconds is not None:
            width = counted_as(len(pack.leases))
            widths.measured(conn, pack_key=pack_key, device=pack.device, width=width, seconds=seconds, now=now)

    @retry_deadlocks
    def give_up(self, pack: PackRun, *, error: str, now: datetime) -> None:
        """End a pack whose news the database refuses: its open trials fail with the reason."""
        attempts = pack.open_attempts()
        if attempts:
            with self._engine.begin() as conn:
                queue.fail(conn, now=now, attempts=attempts, failure_class=FailureClass.TRIAL, error=error)
        self._ledger.remove(pack.leases)
