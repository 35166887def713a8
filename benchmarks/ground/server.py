"""An embedded PostgreSQL of the benchmark's own, as `actinium up` starts it, gone at the end."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from db.embedded import EmbeddedServer, embedded
from db.engine import make_engine, migrate


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A running server, a pool on its migrated database, and a folder that goes with it."""

    server: EmbeddedServer
    engine: Engine
    folder: Path


@contextmanager
def ground(*, durable: bool = True) -> Iterator[Ground]:
    """A server in a new folder; `durable=False` where only reading is timed."""
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as folder:
        server = embedded(Path(folder), durable=durable)
        try:
            engine = make_engine(server.url)
            migrate(engine)
            yield Ground(server=server, engine=engine, folder=Path(folder))
            engine.dispose()
        finally:
            server.stop()


def settle(engine: Engine) -> None:
    """Vacuum and checkpoint, as the server's own rounds would have done by the time that anybody reads."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def medians(works: Mapping[str, Callable[[], object]], *, repetitions: int) -> dict[str, float]:
    """The median time of each, the works taking turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repetitions):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: statistics.median(found) for name, found in times.items()}


def say_load() -> None:
    """How busy the machine was, beside the figures."""
    one, five, _ = os.getloadavg()
    print(f"load {one:.1f} over the last minute, {five:.1f} over five, on {os.cpu_count()} cores")
