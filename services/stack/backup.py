"""`backup FILE`: everything that the service knows in one file, while it works."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, Engine, text

from actinium.errors import StackError, Unavailable, first_line
from db import dump
from db.engine import DATABASE_AWAY, make_engine, revision, revisions, wait_ready
from services.settings import Settings
from services.stack.archive.manifest import DatabaseManifest, DatabaseName, Digest, Manifest, folder_of
from services.stack.archive.writer import Writer, created
from services.stack.databases import opened

STREAM = "-"
"""In a file's place: standard output, or standard input."""
WAIT_SECONDS = 10.0


def backup(settings: Settings, target: str, *, now: datetime, say: Callable[[str], object]) -> None:
    """Write databases and artifacts, of one moment, to a file that is there whole or not at all."""
    with opened(settings) as databases, ExitStack() as stack:
        engine = stack.enter_context(connected(databases.actinium))
        mlflow = None if databases.mlflow is None else stack.enter_context(connected(databases.mlflow))
        file = stack.enter_context(_standard_output() if target == STREAM else created(Path(target).absolute()))
        try:
            manifest = write(file, engine, mlflow, artifacts=settings.home.expanduser() / "mlflow", now=now)
        except DATABASE_AWAY as error:
            raise Unavailable(f"the database went away ({first_line(error)}); try again") from error
    say(f"{'standard output' if target == STREAM else target}: {told(manifest)}")


def write(file: IO[bytes], engine: Engine, mlflow: Engine | None, *, artifacts: Path, now: datetime) -> Manifest:
    """Both databases as they were at one moment, then MLflow's artifacts, which have at least what it knew then."""
    writer, artifact_digest = Writer(file), Digest()
    with ExitStack() as stack:
        with dump.mirror_held(engine):
            conns: dict[DatabaseName, Connection] = {"actinium": stack.enter_context(dump.reading(engine))}
            if mlflow is not None:
                conns["mlflow"] = stack.enter_context(dump.reading(mlflow))
        found = revision(conns["actinium"])
        if found not in revisions():
            raise StackError(f"the database is of version {found}, which this code does not know; is it too old?")
        # MLflow makes its tables when it is first started: before that there is nothing to keep.
        made = {name: conn for name, conn in conns.items() if revision(conn) is not None}
        databases = {name: _database(writer, conn, name) for name, conn in made.items()}
    if "mlflow" in databases:
        writer.artifacts(artifacts, artifact_digest)
    manifest = Manifest(
        actinium=version("actinium"),
        mlflow=version("mlflow"),
        created_at=now,
        databases=databases,
        artifacts=artifact_digest.section() if "mlflow" in databases else None,
    )
    writer.end(manifest)
    return manifest


def told(manifest: Manifest) -> str:
    """What a backup holds, in a line."""
    rows = manifest.databases["actinium"].rows
    held = sum(database.part.bytes for database in manifest.databases.values())
    held += manifest.artifacts.bytes if manifest.artifacts else 0
    counts = f"{rows['studies']:,} studies, {rows['trials']:,} trials, {rows['frames']:,} frames"
    mlflow = manifest.databases.get("mlflow")
    runs = "nothing of MLflow" if mlflow is None else f"{mlflow.rows.get('runs', 0):,} runs in MLflow"
    return f"{counts}, {runs}; {held:,} bytes"


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    """An engine whose server answers."""
    engine = make_engine(url, pool_size=2)
    try:
        wait_ready(engine, seconds=WAIT_SECONDS)
        yield engine
    finally:
        engine.dispose()


def _database(writer: Writer, conn: Connection, name: DatabaseName) -> DatabaseManifest:
    digest, tables = Digest(), dump.tables(conn)
    rows = {
        table.name: writer.rows(f"{folder_of(name)}/{table.name}", dump.copy_out(conn, table), digest)
        for table in tables
    }
    return DatabaseManifest(
        revision=revision(conn) or "",
        server=str(conn.execute(text("SHOW server_version")).scalar_one()),
        tables=tuple(tables),
        rows=rows,
        sequences=dump.sequences(conn),
        part=digest.section(),
    )


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    """Whoever reads it learns from the exit code whether it is whole."""
    if sys.stdout.isatty():
        raise StackError("a backup is no text; give a file, or lead standard output into one")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()
