"""Connections to PostgreSQL, and the schema's migrations."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import psycopg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from actinium.errors import InvalidInput, StackError, Unavailable, first_line
from db.documents import dumps
from db.embedded import EmbeddedServer, embedded

__all__ = [
    "DATABASE_AWAY",
    "EmbeddedServer",
    "disk_full",
    "embedded",
    "make_engine",
    "migrate",
    "retry_deadlocks",
    "revision",
    "revisions",
    "wait_ready",
]

log = logging.getLogger(__name__)

Given = ParamSpec("Given")
Result = TypeVar("Result")

DATABASE_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
"""Raised by a statement or COPY when the server is gone or restarts, or a timeout is reached: try again later."""

DISK_FULL = "53100"
"""What PostgreSQL calls it (SQLSTATE)."""
LOST_TO_ANOTHER = ("40P01", "40001")
"""A deadlock, and a serialization failure (SQLSTATE)."""
RETRY_PAUSES = (0.02, 0.1, 0.4)
"""Seconds before the second, third and fourth try of a transaction that lost to another."""

MIGRATION_LOCK = 8_901_325_704
"""Advisory lock key: one migration at a time, whoever starts it."""

# A connection that waits or idles longer than this is in the way of others, and is better cut off.
SESSION = {
    "lock_timeout": "10s",
    "statement_timeout": "120s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}


# A server that went without a word (its machine or the network between) is noticed within a minute, over TCP.
KEEPALIVE = {"keepalives_idle": 20, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


def database_url(url: str) -> URL:
    """The address with psycopg 3 as its driver; `postgres://` and `postgresql://` are accepted."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgres", "postgresql"):
        kind = scheme if separator else "this"
        raise InvalidInput(f"{kind} is no PostgreSQL address; give postgresql://USER:PASSWORD@HOST/DATABASE")
    try:
        return make_url(f"postgresql+psycopg://{rest}")
    except (ValueError, ArgumentError):  # it quotes what it takes for the port, which may be part of the password
        raise InvalidInput(
            "the PostgreSQL address cannot be read; give postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and what is no"
            " letter and no digit in the password as %XX"
        ) from None


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """A pool of at most `pool_size` connections (PostgreSQL 15 or newer), with timeouts on everything that waits."""
    return create_engine(
        database_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        json_serializer=dumps,
        connect_args={
            "connect_timeout": 10,
            **KEEPALIVE,
            "client_encoding": "utf8",  # a server that was made in the C locale would answer in bytes otherwise
            "application_name": "actinium",
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
        },
    )


def revisions() -> list[str]:
    """The schema's versions that this code knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()]


def revision(conn: Connection) -> str | None:
    """The schema's version in this database; None where there is no schema."""
    return MigrationContext.configure(conn).get_current_revision()


def disk_full(error: BaseException) -> bool:
    """Whether an error of the database says that its disk has no room left."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) == DISK_FULL


def retry_deadlocks(act: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function whose transactions are tried again where PostgreSQL has ended one of them to resolve a deadlock. It
    must be one that may be called again after its transactions were rolled back.

    Transactions lock in one order (docs/state_machine.md), so that this should not happen; whoever loses all the same
    need not be told.
    """

    @wraps(act)
    def tried(*given: Given.args, **named: Given.kwargs) -> Result:
        for pause in RETRY_PAUSES:
            try:
                return act(*given, **named)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in LOST_TO_ANOTHER:
                    raise
                log.warning("a transaction lost to another one (%s) and is tried again", first_line(error))
            time.sleep(pause)
        return act(*given, **named)

    return tried


def migrate(engine: Engine, *, to: str = "head") -> None:
    """Bring the schema to the newest version, or to the one given.

    Safe to call from several processes at once: one works, the rest wait. StackError where a newer version of the code
    has already been at work on it.
    """
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        try:
            connection.execute(text("SET lock_timeout = '10s'"))
            connection.commit()
            refuse_newer(connection)
            config = _migrations()
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()


def refuse_newer(connection: Connection) -> None:
    """StackError when the schema is of a version that this code does not know."""
    found, known = revision(connection), revisions()
    if found is not None and found not in known:
        raise StackError(
            f"the database has version {found} of the schema, this code knows {known[0]} and older: a newer Actinium "
            "has worked on it; start that one again, or restore a backup into an empty database"
        )


def wait_ready(
    engine: Engine,
    *,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the server answers; Unavailable when it has not within `seconds`."""
    deadline = clock() + seconds
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            return
        except DATABASE_AWAY as error:
            if clock() >= deadline:
                address = engine.url.render_as_string(hide_password=True)
                raise Unavailable(
                    f"PostgreSQL at {address} did not answer in {seconds:g} s; does it run, and is the address right?"
                ) from error
        sleep(0.2)


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    return config
