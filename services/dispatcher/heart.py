"""The heartbeat: a thread that renews this dispatcher's leases and rescues the expired leases of others."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine

from db import dispatchers, queue
from db.engine import retry_deadlocks
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster

log = logging.getLogger(__name__)

LONGEST_SECONDS = 5.0
"""The longest time between two beats. A cancellation is noticed at the next beat."""


def beat_seconds(lease_seconds: float) -> float:
    """The time between two beats: a fifth of a lease, so that one may fail before the lease expires."""
    return min(LONGEST_SECONDS, lease_seconds / 5)


class Heart:
    """One round: renew the leases of this dispatcher, note those that it has lost, rescue those that have expired.

    Its own leases come first: after this process or the database was away, they are renewed before anything expired
    is rescued. When the last beat is longer ago than a lease, rescuing waits for one lease more, so that the other
    dispatchers can renew theirs too. Each beat also writes this dispatcher's standing and reads who else is alive.
    """

    def __init__(self, *, engine: Engine, ledger: Ledger, roster: Roster, lease_seconds: float) -> None:
        self._engine = engine
        self._ledger = ledger
        self._roster = roster
        self._lease_seconds = lease_seconds
        self._last_touch: datetime | None = None
        self._rescue_from: datetime | None = None

    @retry_deadlocks
    def run_once(self, *, now: datetime) -> None:
        """One beat."""
        asked = self._ledger.held()
        with self._engine.begin() as conn:
            held = queue.heartbeat(conn, now=now, attempts=asked, lease_seconds=self._lease_seconds) if asked else ()
        gone = self._ledger.confirm(asked, held)
        if gone:
            log.info("%d leases are not held any more: cancelled, or taken for lost", len(gone))
        lease = timedelta(seconds=self._lease_seconds)
        if self._last_touch is not None and now - self._last_touch > lease:
            self._rescue_from = now + lease
        self._last_touch = now
        with self._engine.begin() as conn:
            self._roster.placed(
                dispatchers.report(conn, self._roster.standing(now=now), silent_seconds=self._lease_seconds)
            )
        if self._rescue_from is None or now >= self._rescue_from:
            self._rescue_from = None
            with self._engine.begin() as conn:
                rescued = queue.rescue(conn, now=now)
            if rescued:
                log.warning("rescued %d trials whose lease ran out", rescued)
