"""The heartbeat: renews leases whatever the main loop is doing, and rescues what others let expire."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Engine

from db import dispatchers, queue
from services.dispatcher.ledger import Ledger
from services.dispatcher.roster import Roster

log = logging.getLogger(__name__)

LONGEST_SECONDS = 5.0
"""The longest time between two beats, and so between a study's cancellation and the word of it here."""


def beat_seconds(lease_seconds: float) -> float:
    """The time between two beats: several may be late before a lease expires."""
    return min(LONGEST_SECONDS, lease_seconds / 5)


class Heart:
    """One round: renew what this dispatcher holds, hear what it does not hold any more, rescue what expired.

    Its own leases come first: after a pause of this process or of the database they are taken up again before
    anything expired is rescued. Having been out of touch for as long as a lease, it also gives the other dispatchers
    one lease's time to do the same. With each beat it says how this dispatcher stands, and hears who else lives.
    """

    def __init__(self, *, engine: Engine, ledger: Ledger, roster: Roster, lease_seconds: float) -> None:
        self._engine = engine
        self._ledger = ledger
        self._roster = roster
        self._lease_seconds = lease_seconds
        self._last_touch: datetime | None = None
        self._rescue_from: datetime | None = None

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
