"""How many requests run at once, in all and for one caller. One table names the gates of every route.

A gate that is full lets a request wait for a moment; then it is answered 429 where its own caller fills it, and else
503, both with a time to try again. So nobody's requests, however many and however slow, take the service from others.
"""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from anyio import from_thread
from fastapi import Request
from starlette.types import Scope

from actinium.errors import TooMany, Unavailable
from services.api import arrow
from services.api.throttle import sender

RETRY_SECONDS = 1.0
ANSWER, END = "until the answer begins", "until the answer ends"
"""Where in a request's scope its gates stand."""


class Work(StrEnum):
    """What a request costs while it is inside a gate."""

    REQUEST = "requests"  # a connection, and a thread to look up its token
    LOOK = "small answers"  # a thread and a database connection, for milliseconds
    LIST = "pages"  # some ten megabytes, for a moment
    BODY = "JSON bodies"  # a megabyte, for as long as it takes to arrive
    DESIGN = "study documents being resolved"  # a core, for up to half a minute
    REPORT = "reports being computed"  # a core and some hundred megabytes, for seconds
    DOWNLOAD = "documents being sent"  # some megabytes, for as long as they take to arrive
    TABLE = "tables of all trials"  # some hundred megabytes, for as long as they take to arrive
    STREAM = "event streams"  # a query every quarter of a second
    DELETE = "deletions"  # a connection and the disk, for up to minutes
    UPLOAD = "files arriving"  # room on the disk
    CHECK = "files being checked"  # some gigabytes, for seconds
    OPERATE = "health and metrics"  # a thread and a query


@dataclass(frozen=True, kw_only=True)
class Bound:
    """At most `at_once` requests, and `each` of one caller; `wait` seconds long a request waits at a full gate."""

    at_once: int
    each: int
    wait: float = 0.8


BOUNDS: dict[Work, Bound] = {
    Work.REQUEST: Bound(at_once=400, each=96),
    Work.LOOK: Bound(at_once=24, each=12),
    Work.LIST: Bound(at_once=8, each=4),
    Work.BODY: Bound(at_once=64, each=16),
    Work.DESIGN: Bound(at_once=2, each=1),
    Work.REPORT: Bound(at_once=2, each=1),
    Work.DOWNLOAD: Bound(at_once=24, each=6),
    Work.TABLE: Bound(at_once=4, each=2),
    Work.STREAM: Bound(at_once=200, each=50),
    Work.DELETE: Bound(at_once=2, each=1),
    Work.UPLOAD: Bound(at_once=6, each=2),
    Work.CHECK: Bound(at_once=2, each=1, wait=300.0),  # a file that has arrived waits on the disk, and costs nothing
    Work.OPERATE: Bound(at_once=4, each=4),
}
THREADS = 64
"""Of the pool that runs handlers: more than all gates together let in, so that looking up a token never waits for work.
"""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """The gates of a route. `whole` is entered before the request's body is read, and left with the end of the answer;
    `work` is entered by the handler, or once the body has arrived, and left where the answer begins.
    """

    whole: Work
    work: Work | None = None


LOOK = Passage(whole=Work.LOOK)
LIST = Passage(whole=Work.LIST)
CHANGE = Passage(whole=Work.BODY, work=Work.LOOK)
RESOLVE = Passage(whole=Work.BODY, work=Work.DESIGN)
OPERATE = Passage(whole=Work.OPERATE)
TABLE = Passage(whole=Work.TABLE)

PASSAGES: dict[tuple[str, str], Passage | None] = {
    ("POST", "/v1/studies"): RESOLVE,
    ("GET", "/v1/studies"): LIST,
    ("GET", "/v1/studies/{study}"): LIST,
    ("PATCH", "/v1/studies/{study}"): CHANGE,
    ("POST", "/v1/studies/{study}/cancel"): LOOK,
    ("POST", "/v1/studies/{study}/pause"): LOOK,
    ("POST", "/v1/studies/{study}/resume"): LOOK,
    ("POST", "/v1/studies/{study}/extend"): RESOLVE,
    ("POST", "/v1/studies/{study}/retry"): LOOK,
    ("POST", "/v1/studies/{study}/mirror"): LOOK,
    ("GET", "/v1/mirror"): LOOK,
    ("POST", "/v1/studies/{study}/archive"): LOOK,
    ("DELETE", "/v1/studies/{study}"): Passage(whole=Work.DELETE),
    ("GET", "/v1/studies/{study}/trials"): LIST,
    ("GET", "/v1/studies/{study}/report"): Passage(whole=Work.DOWNLOAD, work=Work.REPORT),
    ("GET", "/v1/studies/{study}/curves"): Passage(whole=Work.DOWNLOAD, work=Work.REPORT),
    ("GET", "/v1/studies/{study}/export"): TABLE,
    ("GET", "/v1/studies/{study}/events"): Passage(whole=Work.STREAM),
    ("GET", "/v1/trials/{trial}"): LOOK,
    ("GET", "/v1/trials/{trial}/events"): LOOK,
    ("GET", "/v1/trials/{trial}/frames"): LIST,
    ("GET", "/v1/trials/{trial}/artifacts/{name}"): LIST,
    ("GET", "/v1/catalogue"): LOOK,
    ("POST", "/v1/datasets"): Passage(whole=Work.UPLOAD, work=Work.CHECK),
    ("GET", "/v1/datasets"): LOOK,
    ("DELETE", "/v1/datasets/{name}"): Passage(whole=Work.DELETE),
    ("GET", "/v1/audit"): LOOK,
    ("GET", "/v1/pack-widths"): LOOK,
    ("GET", "/v1/dispatchers"): LOOK,
    ("POST", "/v1/tokens"): CHANGE,
    ("GET", "/v1/tokens"): LOOK,
    ("DELETE", "/v1/tokens/{token_id}"): LOOK,
    # Answered by the event loop alone, from nothing: it is how one sees whether the process lives.
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): OPERATE,
    ("GET", "/metrics"): OPERATE,
    ("GET", "/docs"): None,
    ("HEAD", "/docs"): None,
    ("GET", "/openapi.json"): None,
    ("HEAD", "/openapi.json"): None,
}
"""Every route; None: it costs nothing. A table of all trials as Arrow has the passage of an export (`passage_of`)."""
TABLES = {("GET", "/v1/studies/{study}/trials")}
"""Routes that answer with all trials at once where an Arrow stream is asked for."""


class Gate:
    """Lets in so many at once, in the order in which they came. To be used from one event loop."""

    def __init__(self, work: Work, bound: Bound) -> None:
        self._work, self._bound = work, bound
        self._inside: Counter[str] = Counter()
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    async def enter(self, caller: str) -> None:
        """Returns inside, to be left by `leave`. TooMany or Unavailable after the bound's `wait`."""
        if self._free(caller):
            self._inside[caller] += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((caller, place))
        try:
            async with asyncio.timeout(self._bound.wait):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.leave(caller)  # it was let in at the moment in which it gave up
            else:
                self._waiting.remove((caller, place))
            if not isinstance(error, TimeoutError):
                raise
            if not self._free(caller):
                raise self._refusal(caller) from None
            self._inside[caller] += 1  # there is room since this moment

    def leave(self, caller: str) -> None:
        """Makes room, and lets in those who waited longest and fit."""
        self._inside[caller] -= 1
        if not self._inside[caller]:
            del self._inside[caller]
        waiting, self._waiting = self._waiting, deque()
        for other, place in waiting:
            if place.cancelled():
                self._waiting.append((other, place))  # its own `enter` takes it out
            elif self._free(other):
                self._inside[other] += 1
                place.set_result(None)
            else:
                self._waiting.append((other, place))

    def _free(self, caller: str) -> bool:
        return self._inside.total() < self._bound.at_once and self._inside[caller] < self._bound.each

    def _refusal(self, caller: str) -> TooMany | Unavailable:
        if self._inside[caller] >= self._bound.each:
            message = f"{self._bound.each} {self._work} at once are the most for one caller; wait for one to end"
            return TooMany(message, RETRY_SECONDS)
        return Unavailable(f"{self._bound.at_once} {self._work} at once are the most that the service does; try again")


class Gates:
    """The gates of one app. Which of them a request is inside of stands in its scope."""

    def __init__(self) -> None:
        self._gates = {work: Gate(work, bound) for work, bound in BOUNDS.items()}

    async def enter(self, scope: Scope, work: Work, caller: str, *, until: str = END) -> None:
        """Lets a request through a gate, `until` its answer begins or its end. TooMany or Unavailable."""
        await self._gates[work].enter(caller)
        scope.setdefault(until, []).append((work, caller))

    def leave(self, scope: Scope, *, until: str) -> None:
        """Lets a request out of the gates that it has entered until this moment."""
        for work, caller in scope.pop(until, []):
            self._gates[work].leave(caller)


def passage_of(request: Request) -> Passage | None:
    """The passage of a request's route."""
    route = request.scope["method"], request.scope["route"].path
    return TABLE if route in TABLES and arrow.wanted(request) else PASSAGES[route]


def caller_of(scope: Scope) -> str:
    """Whom a request counts for: the token's name, or the address where no token is asked for."""
    principal = scope.get("principal")
    client = scope.get("client")
    return f"name {principal.name}" if principal else f"host {sender(client[0] if client else None)}"


async def admitted(request: Request) -> None:
    """Enters the `whole` gate of the route. A dependency of every route, after that of the token."""
    passage = passage_of(request)
    if passage is not None:
        await request.app.state.gates.enter(request.scope, passage.whole, caller_of(request.scope))


def work_ended(request: Request) -> None:
    """Leaves the `work` gate before the answer begins; called by a handler that runs in a thread."""
    from_thread.run_sync(partial(request.app.state.gates.leave, request.scope, until=ANSWER))


async def at_work(request: Request) -> None:
    """Enters the `work` gate of the route, if it has one: once the body is there, or just before what is costly."""
    passage = passage_of(request)
    if passage is not None and passage.work is not None:
        await request.app.state.gates.enter(request.scope, passage.work, caller_of(request.scope), until=ANSWER)
