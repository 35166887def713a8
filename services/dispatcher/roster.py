"""How this dispatcher stands, and its place among those that work on the same queue.

The main loop says how it stands, the heartbeat's thread tells the database and hears who else lives.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock

from db.dispatchers import Standing


class Roster:
    """Alone until the database says otherwise: `turn` is (0, 1)."""

    def __init__(self, *, holder: str, started_at: datetime) -> None:
        self._lock = Lock()
        self._standing = Standing(holder=holder, started_at=started_at, seen_at=started_at)
        self._turn = (0, 1)

    def tell(self, *, slots: int, busy: int, avoided: Mapping[str, datetime], halted: str | None) -> None:
        """How the main loop finds things."""
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
            )

    def standing(self, *, now: datetime) -> Standing:
        """What to tell the database."""
        with self._lock:
            old = self._standing
        return Standing(**{**vars(old), "seen_at": now})

    def placed(self, living: Sequence[str]) -> None:
        """Who lives, this dispatcher among them."""
        with self._lock:
            holder = self._standing.holder
            self._turn = (living.index(holder), len(living)) if holder in living else (0, 1)

    def turn(self) -> tuple[int, int]:
        """This dispatcher's number, from 0, and how many there are."""
        with self._lock:
            return self._turn
