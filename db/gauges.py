"""The numbers of /metrics that come from the database: how many things wait, and how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from db.statements import statement

OUTBOX_MOST = 10_000
"""News are counted, and looked through for the oldest, up to this many."""


@dataclass(frozen=True, kw_only=True)
class Gauges:
    """Ages are seconds; 0 where nothing waits. `expiring`: leases that end within the next seconds unless they are
    renewed; `expired`: those that did, and are not rescued yet.
    """

    oldest_due: float
    oldest_lease: float
    expiring: int
    expired: int
    paused_studies: int
    unmirrored: int
    oldest_unmirrored: float


def gauges(conn: Connection, *, now: datetime, lease_seconds: float) -> Gauges:
    """How things stand at `now`. A lease is about to expire when a third of its length is left."""
    soon = now + timedelta(seconds=lease_seconds / 3)
    row = conn.execute(statement("gauges"), {"now": now, "soon": soon, "most": OUTBOX_MOST}).one()
    return Gauges(
        oldest_due=_age(row.oldest_due, now),
        oldest_lease=_age(row.oldest_lease, now),
        expiring=row.expiring,
        expired=row.expired,
        paused_studies=row.paused,
        unmirrored=row.unmirrored,
        oldest_unmirrored=_age(row.oldest_unmirrored, now),
    )


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
