"""This dispatcher's standing, and its number among the dispatchers of the same queue.

Two threads meet here: the main loop sets the standing, and the heartbeat writes it to the database and reads who else
is alive.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock

from db.dispatchers import Standing


class Roster:
    """Standing and number. Until the first heartbeat a dispatcher takes itself for the only one."""

    def __init__(self, *, holder: str, started_at: datetime) -> None:
        self._lock = Lock()
        self._standing = Standing(holder=holder, started_at=started_at, seen_at=started_at)
        self._turn = (0, 1)

    def tell(
        self,
        *,
        slots: int,
        busy: int,
        avoided: Mapping[str, datetime],
        halted: str | None,
        memory_bytes: int | None,
    ) -> None:
        """Set the standing; called by the main loop. A memory that was known stays while no slot is warm."""
        until = {node: moment.isoformat() for node, moment in avoided.items()}
        with self._lock:
            old = self._standing
            self._standing = Standing(
                holder=old.holder,
                started_at=old.started_at,
                seen_at=old.seen_at,
                slots=slots,
                busy=busy,
                avoided=until,
                halted=halted,
                memory_bytes=memory_bytes or old.memory_bytes,
            )

    def standing(self, *, now: datetime) -> Standing:
        """The standing to write to the database at `now`."""
        with self._lock:
            old = self._standing
        return Standing(**{**vars(old), "seen_at": now})

    def placed(self, living: Sequence[str]) -> None:
        """Set this dispatcher's number: its place in `living`, the holders of all that are alive in order of their
        start.
        """
        with self._lock:
            holder = self._standing.holder
            self._turn = (living.index(holder), len(living)) if holder in living else (0, 1)

    def turn(self) -> tuple[int, int]:
        """This dispatcher's number, from 0, and how many there are."""
        with self._lock:
            return self._turn
