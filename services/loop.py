"""The loop of every long-running service: rounds until a signal stops it, further apart after errors."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine

from actinium.errors import StackError, Unavailable, first_line
from db.engine import DATABASE_AWAY, make_engine, migrate, wait_ready
from services.settings import Settings

log = logging.getLogger(__name__)

Round = Callable[[datetime], object]
"""The body of a loop, called with the time of the round. Its return value is ignored."""


def utc_now() -> datetime:
    """The wall clock. Only the outermost functions read it; everything inside is given the time as an argument."""
    return datetime.now(UTC)


def set_up_logging() -> None:
    """Lines with time and level on standard error; the supervisor puts them into a file."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)


def stop_on_signals(stop: threading.Event | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set. Call it again after a library has set signal handlers (Ray does)."""
    asked = stop or threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return asked


def backoff(failures: int, *, first: float = 0.5, most: float = 15.0) -> float:
    """Seconds to wait after this many failures in a row: `first` after one, then doubled, up to `most`."""
    return min(most, first * 2.0 ** min(failures - 1, 40))


class Pulse:
    """The file ACTINIUM_READY_FILE, by which a service without an address says that it works: it is there once the
    service has begun its work, and its time of change is the last round in which it could work. Whoever supervises
    looks at the file's age; nothing has to be started for that.
    """

    def __init__(self) -> None:
        given = os.environ.get("ACTINIUM_READY_FILE")
        self._path = Path(given) if given else None
        self._failed = False

    def clear(self) -> None:
        """Nothing works yet, whatever an earlier process of this service has left."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def beat(self) -> None:
        """It works now. Setting a time needs no room, so that a full disk does not look like a service that hangs."""
        if self._path is None:
            return
        try:
            self._path.touch()
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("%s cannot be written: %s", self._path, error)
            self._failed = True


def repeat(body: Round, *, seconds: float, stop: threading.Event, name: str) -> None:
    """Call `body` every `seconds` until `stop`. A round that raises is logged, and tried again after `backoff`."""
    failures = 0
    while not stop.is_set():
        try:
            body(utc_now())
        except DATABASE_AWAY as error:
            failures += 1
            log.warning("%s: the database is away: %s", name, first_line(error))
        except Exception:
            failures += 1
            log.exception("%s: a round failed", name)
        else:
            failures = 0
        stop.wait(backoff(failures) if failures else seconds)


def open_database(settings: Settings, *, stop: threading.Event, pool_size: int = 3) -> Engine:
    """The settings' database once it answers and has the newest schema, however long that takes.

    Raises StackError when none is set, and Unavailable when `stop` comes first.
    """
    if settings.database_url is None:
        raise StackError("ACTINIUM_DATABASE_URL is not set; `actinium up` sets it for the services that it starts")
    engine = make_engine(settings.database_url, pool_size=pool_size)
    failures = 0
    while not stop.is_set():
        try:
            wait_ready(engine, seconds=0.0)
            migrate(engine)
            return engine
        except (Unavailable, *DATABASE_AWAY) as error:
            failures += 1
            log.warning("waiting for the database: %s", first_line(error))
            stop.wait(backoff(failures))
    engine.dispose()
    raise Unavailable("stopped while waiting for the database")
