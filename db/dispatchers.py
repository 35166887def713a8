"""The table of dispatchers: each writes its standing with every heartbeat, and reads which others are alive."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from db.models import dispatchers

FORGOTTEN = timedelta(hours=1)
"""A dispatcher that has been silent for so long is removed from the table."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a dispatcher says of itself: its slots, how many of them are busy, the nodes that it avoids and until when,
    why it leases nothing at present (None: it does), and the memory of the largest machine or accelerator that its
    slots compute on (None: not known yet).
    """

    holder: str
    started_at: datetime
    seen_at: datetime
    slots: int = 0
    busy: int = 0
    avoided: Mapping[str, str] = field(default_factory=dict)
    halted: str | None = None
    memory_bytes: int | None = None


def report(conn: Connection, standing: Standing, *, silent_seconds: float) -> list[str]:
    """Write a dispatcher's standing; the holders of all that are alive, in the order of their start."""
    values = asdict(standing) | {"avoided": dict(standing.avoided)}
    conn.execute(
        insert(dispatchers)
        .values(values)
        .on_conflict_do_update(index_elements=["holder"], set_={k: v for k, v in values.items() if k != "holder"})
    )
    conn.execute(delete(dispatchers).where(dispatchers.c.seen_at < standing.seen_at - FORGOTTEN))
    return [other.holder for other in living(conn, now=standing.seen_at, silent_seconds=silent_seconds)]


def leave(conn: Connection, holder: str) -> None:
    """A dispatcher has ended in order."""
    conn.execute(delete(dispatchers).where(dispatchers.c.holder == holder))


def living(conn: Connection, *, now: datetime, silent_seconds: float) -> list[Standing]:
    """The dispatchers heard of within the last `silent_seconds`, in the order of their start."""
    since = now - timedelta(seconds=silent_seconds)
    found = conn.execute(
        select(dispatchers)
        .where(dispatchers.c.seen_at >= since)
        .order_by(dispatchers.c.started_at, dispatchers.c.holder)
    )
    return [Standing(**row._mapping) for row in found]
