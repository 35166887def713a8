"""Which attempts this dispatcher holds: written by the main loop and the heartbeats, from different threads."""

from collections.abc import Collection, Iterable
from threading import Lock

from actinium.job import Attempt, TrialId


class Ledger:
    """The attempts leased to this dispatcher, and those of them that a heartbeat found to be lost."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[TrialId, Attempt] = {}
        self._lost: set[Attempt] = set()

    def add(self, attempts: Iterable[Attempt]) -> None:
        """These were leased."""
        with self._lock:
            for attempt in attempts:
                self._held[attempt.trial_id] = fence(attempt)

    def remove(self, attempts: Iterable[Attempt]) -> None:
        """These have ended."""
        with self._lock:
            for attempt in map(fence, attempts):
                self._lost.discard(attempt)
                if self._held.get(attempt.trial_id) == attempt:
                    del self._held[attempt.trial_id]

    def held(self) -> list[Attempt]:
        """The attempts whose leases a heartbeat must renew."""
        with self._lock:
            return [attempt for attempt in self._held.values() if attempt not in self._lost]

    def confirm(self, asked: Collection[Attempt], still_held: Collection[TrialId]) -> list[Attempt]:
        """A heartbeat for `asked` renewed `still_held`: note the others as lost, unless they ended meanwhile."""
        with self._lock:
            gone = [
                attempt
                for attempt in asked
                if attempt.trial_id not in still_held and self._held.get(attempt.trial_id) == attempt
            ]
            self._lost.update(gone)
            return gone

    def is_lost(self, attempt: Attempt) -> bool:
        """Whether nothing of this attempt is to be written any more."""
        with self._lock:
            return fence(attempt) in self._lost


def fence(attempt: Attempt) -> Attempt:
    """Trial and attempt number alone: a `Lease` is an `Attempt` too, and would not equal one."""
    return Attempt(trial_id=attempt.trial_id, attempt=attempt.attempt)
