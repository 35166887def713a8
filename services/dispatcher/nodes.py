"""The health of nodes: those whose actors keep dying get no work for a while."""

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.loop import backoff

log = logging.getLogger(__name__)

FAILURES = 3
"""After so many failures within WINDOW a node is avoided."""
WINDOW = timedelta(minutes=10)
TOGETHER = timedelta(seconds=5)
"""Failures closer together than this count once: what kills a node kills all of its actors at the same time."""
AVOIDED_FIRST = timedelta(minutes=1)
AVOIDED_MOST = timedelta(hours=1)
"""How long a node is avoided: doubled each time, up to the most."""
FORGIVEN = timedelta(hours=2)
"""After so long without a failure a node's earlier ones no longer count."""
HIRE_FIRST = timedelta(seconds=1)
HIRE_MOST = timedelta(seconds=30)
"""The pause before the next actor on a node whose actors do not start: doubled each time, up to the most."""


@dataclass(kw_only=True)
class Node:
    """What is remembered of one node."""

    failures: list[datetime] = field(default_factory=list)
    times: int = 0
    """How often it was avoided."""
    until: datetime | None = None
    unstarted: int = 0
    """Actors in a row that did not start."""
    hire_at: datetime | None = None


class NodeHealth:
    """What is remembered of each node, by Ray's node id (a machine whose Ray was restarted has a new one).

    A failure is an actor that died, lost its device, or did not start. An exception of a trial's code is none, nor an
    out-of-memory error that a narrower pack may avoid. The last node is never avoided: a trial that kills every actor
    is stopped by its own limit instead.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}

    def failed(self, name: str, *, now: datetime) -> None:
        """An actor of the node was lost."""
        node = self._node(name)
        if node.failures and now - node.failures[-1] < TOGETHER:
            return
        node.failures = [at for at in node.failures if now - at < WINDOW] + [now]
        if len(node.failures) < FAILURES:
            return
        if node.until is not None and now - node.until > FORGIVEN:
            node.times = 0
        node.times += 1
        node.until = now + _pause(node.times, first=AVOIDED_FIRST, most=AVOIDED_MOST)
        node.failures.clear()
        log.warning("node %s lost its actors %d times; it is avoided until %s", name, FAILURES, node.until.isoformat())

    def not_started(self, name: str, *, now: datetime) -> None:
        """An actor of the node did not become warm; the next one waits."""
        node = self._node(name)
        node.unstarted += 1
        node.hire_at = now + _pause(node.unstarted, first=HIRE_FIRST, most=HIRE_MOST)
        self.failed(name, now=now)

    def started(self, name: str) -> None:
        """An actor of the node is warm."""
        node = self._node(name)
        node.unstarted, node.hire_at = 0, None

    def may_hire(self, name: str, *, now: datetime) -> bool:
        """Whether another actor may be started there now."""
        hire_at = self._node(name).hire_at
        return hire_at is None or now >= hire_at

    def avoided(self, names: Collection[str], *, now: datetime) -> dict[str, datetime]:
        """Those of `names`, the nodes that there are, that get no work, and until when; never all of them."""
        found = {name: until for name in names if (until := self._node(name).until) is not None and until > now}
        return found if len(found) < len(set(names)) else {}

    def _node(self, name: str) -> Node:
        return self._nodes.setdefault(name, Node())


def _pause(failures: int, *, first: timedelta, most: timedelta) -> timedelta:
    return timedelta(seconds=backoff(failures, first=first.total_seconds(), most=most.total_seconds()))
