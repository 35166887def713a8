"""Processes of the benchmark's own, gone at the end: an embedded PostgreSQL as `actinium up` starts it, and others."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
from psycopg import sql
from sqlalchemy import Engine, text

from db.embedded import EmbeddedServer, embedded
from db.engine import make_engine, migrate


@contextmanager
def ground(*, durable: bool = True) -> Iterator[EmbeddedServer]:
    """A server in a new folder; `durable=False` where only reading is timed."""
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as folder:
        server = embedded(Path(folder), durable=durable)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def migrated(server: EmbeddedServer, name: str) -> Iterator[Engine]:
    """A pool on a new database with the schema."""
    with closing(psycopg.connect(host=str(server.sockets), user="postgres", autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    engine = make_engine(server.address(name))
    try:
        migrate(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def process(*arguments: str, ready: str, log: Path, **environment: str) -> Iterator[int]:
    """A Python module as a process of its own, until it answers at `ready`; its number. Stopped at the end."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", *arguments], env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        for _ in range(600):
            with suppress(httpx.HTTPError):
                if httpx.get(ready).is_success:
                    break
            if started.poll() is not None:
                raise SystemExit(f"{arguments[0]} stopped: {log.read_text()[-2000:]}")
            time.sleep(0.2)
        yield started.pid
    finally:
        started.terminate()
        started.wait(30)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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
