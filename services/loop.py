"""What every long-running service is made of: rounds that are repeated until a signal says stop."""

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

from actinium.errors import StackError, Unavailable
from db.engine import DATABASE_AWAY, make_engine, migrate, wait_ready
from services.settings import Settings

log = logging.getLogger(__name__)

BACKOFF_MOST_SECONDS = 15.0
"""The longest pause after rounds that keep failing."""

Round = Callable[[datetime], object]
"""The body of a loop, called with the time. What it gives back is ignored."""


def utc_now() -> datetime:
    """The wall clock, read at the rim and handed inwards."""
    return datetime.now(UTC)


def set_up_logging() -> None:
    """Lines with time and level on standard error; the supervisor puts them into a file."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)


def stop_on_signals(stop: threading.Event | None = None) -> threading.Event:
    """An event that SIGTERM and SIGINT set. To be called again after a library that takes the signals for itself."""
    asked = stop or threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    return asked


def backoff(failures: int, *, first: float = 0.25) -> float:
    """Seconds to wait after this many failures in a row."""
    return float(min(BACKOFF_MOST_SECONDS, first * 2.0 ** min(failures, 30)))


def announce_ready() -> None:
    """Tell the supervisor, where there is one, that this service has begun its work."""
    path = os.environ.get("ACTINIUM_READY_FILE")
    if path:
        try:
            Path(path).write_text(f"{os.getpid()}\n", encoding="utf-8")
        except OSError as error:  # on a full disk the file is made, only empty
            log.warning("%s cannot be written: %s", path, error)


def repeat(body: Round, *, seconds: float, stop: threading.Event, name: str) -> None:
    """Rounds, `seconds` apart, until `stop`. A round that raises is logged and tried again, later and later."""
    failures = 0
    while not stop.is_set():
        try:
            body(utc_now())
        except DATABASE_AWAY as error:
            failures += 1
            log.warning("%s: the database is away: %s", name, str(error).strip().split("\n", 1)[0])
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
            log.warning("waiting for the database: %s", str(error).strip().split("\n", 1)[0])
            stop.wait(backoff(failures))
    engine.dispose()
    raise Unavailable("stopped while waiting for the database")
