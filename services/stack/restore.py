"""`restore FILE`: a backup into an empty home, whole or not at all."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import chain, groupby
from pathlib import Path
from typing import IO

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from actinium.child import clean_environment
from actinium.errors import InvalidInput, StackError, first_line
from db import dump, integrity, queue
from db.__main__ import make_database
from db.embedded import embedded
from db.engine import migrate, revisions
from services.settings import Settings
from services.stack.archive.manifest import ARTIFACTS, DatabaseManifest, Manifest, folder_of
from services.stack.archive.reader import Member, members, verify
from services.stack.backup import STREAM, connected, told
from services.stack.databases import DatabaseUrls
from services.stack.integrity import sentences
from services.stack.plan import beside, python
from services.stack.state import locked, prepare_home

HARMLESS = frozenset({"data", "logs", "run", "stack.lock", "restoring"})
"""What a home may have and still be empty: files of datasets, logs, and what a restore that was killed has left."""
MLFLOW_SECONDS = 300.0


def restore(settings: Settings, source: str, *, now: datetime, say: Callable[[str], object]) -> None:
    """Check the whole file, then write it, bring it up to date, and queue again what was in training.

    The home must be empty and nothing may run in it. StackError, InvalidInput and Conflict say what is in the way; then
    the home is as it was.
    """
    home = settings.home.expanduser().absolute()
    refuse_full(home)
    with _opened(source, home) as file:
        try:
            manifest = verify(file)
        except InvalidInput as error:
            raise InvalidInput(f"{source} cannot be restored: {error}") from error
        refuse_newer(manifest)
        prepare_home(home)
        with locked(home):
            refuse_full(home)
            try:
                _into(settings, home, file, manifest, now=now, say=say)
            except (SQLAlchemyError, psycopg.Error) as error:
                said = first_line(error)
                raise StackError(f"the database did not take the backup: {said}; nothing was restored") from error
    say(f"restored: {told(manifest)}")


def refuse_full(home: Path) -> None:
    """StackError when the home holds anything of a stack."""
    found = sorted({path.name for path in home.iterdir()} - HARMLESS) if home.is_dir() else []
    if found:
        raise StackError(
            f"{home} is not empty ({', '.join(found[:5])}{', ...' if len(found) > 5 else ''}); "
            "a backup is restored into an empty home: set ACTINIUM_HOME to another folder, or move these away"
        )


def refuse_newer(manifest: Manifest) -> None:
    """StackError when the backup was made by a version that this code does not know."""
    of_backup = manifest.databases["actinium"].revision
    if of_backup not in revisions():
        raise StackError(
            f"the backup is of database version {of_backup} (Actinium {manifest.actinium}), this code knows "
            f"{revisions()[0]} and older: install the newer Actinium and restore with it"
        )


def _into(
    settings: Settings,
    home: Path,
    file: IO[bytes],
    manifest: Manifest,
    *,
    now: datetime,
    say: Callable[[str], object],
) -> None:
    """All of it in a folder beside, which moves to its place when all is done."""
    making = home / "restoring"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    try:
        with _empty_databases(settings, making) as to:
            _fill(to, file, manifest, artifacts=making / "mlflow", now=now, say=say)
        for name in ("mlflow", "postgres"):
            if (making / name).exists():
                (making / name).rename(home / name)
    finally:
        shutil.rmtree(making, ignore_errors=True)


@contextmanager
def _empty_databases(settings: Settings, making: Path) -> Iterator[DatabaseUrls]:
    """A new server under `making`; or those of ACTINIUM_DATABASE_URL, made where they are missing, without any rows."""
    own_mlflow = settings.mlflow_url is None
    if settings.database_url is None:
        server = embedded(making)
        try:
            yield DatabaseUrls(actinium=server.url, mlflow=server.mlflow_url if own_mlflow else None)
        finally:
            server.stop()
            shutil.rmtree(server.sockets, ignore_errors=True)
        return
    with connected(settings.database_url) as engine:
        dump.clear(engine, whose="the database")
        if own_mlflow:
            make_database(engine, "mlflow")
    mlflow = beside(settings.database_url) if own_mlflow else None
    if mlflow is not None:
        with connected(mlflow) as engine:
            dump.clear(engine, whose="MLflow's database")
    yield DatabaseUrls(actinium=settings.database_url, mlflow=mlflow)


def _fill(
    to: DatabaseUrls,
    file: IO[bytes],
    manifest: Manifest,
    *,
    artifacts: Path,
    now: datetime,
    say: Callable[[str], object],
) -> None:
    """Empty databases, both filled before either is committed; then up to date, and looked at."""
    wanted = {name: database for name, database in manifest.databases.items() if name == "actinium" or to.mlflow}
    with ExitStack() as stack:
        engines = {"actinium": stack.enter_context(connected(to.actinium))}
        migrate(engines["actinium"], to=wanted["actinium"].revision)
        if "mlflow" in wanted and to.mlflow is not None:
            bring_mlflow(to.mlflow, wanted["mlflow"].revision)
            engines["mlflow"] = stack.enter_context(connected(to.mlflow))
        elif to.mlflow is not None:
            say("nothing of MLflow is in the backup: what was mirrored before is not mirrored again")
        with ExitStack() as transactions:
            conns = {name: transactions.enter_context(dump.writing(engines[name])) for name in wanted}
            for whose, conn in conns.items():
                dump.check_own(conn, wanted[whose].tables, wanted[whose].rows, wanted[whose].sequences)
            folders = {folder_of(name): name for name in wanted}
            for section, found in groupby(members(file), key=lambda member: member.section):
                if name := folders.get(section):
                    _load(conns[name], wanted[name], found)
                elif section == ARTIFACTS and to.mlflow is not None:
                    _write_files(artifacts, found)
            for name, conn in reversed(conns.items()):
                _close(conn, wanted[name])
        _bring_up_to_date(engines["actinium"], now=now, say=say)
        if "mlflow" in engines and to.mlflow is not None:
            bring_mlflow(to.mlflow)


def _load(conn: Connection, database: DatabaseManifest, found: Iterator[Member]) -> None:
    """A database's rows, tables in the file's order."""
    tables = {table.name: table for table in database.tables}
    for name, pieces in groupby(found, key=lambda member: member.name.split("/")[2]):
        if name not in tables:
            raise InvalidInput(f"it has rows of {name[:80]!r}, which its manifest does not name")
        dump.copy_in(conn, tables[name], chain.from_iterable(piece.rows() for piece in pieces))


def _close(conn: Connection, database: DatabaseManifest) -> None:
    """Count a database's rows against the manifest, and commit."""
    dump.set_sequences(conn, database.sequences)
    counted = dump.counts(conn, database.rows)
    if counted != database.rows:
        raise InvalidInput(f"the rows that arrived are not those of the manifest: {counted}, {dict(database.rows)}")
    conn.commit()


def _write_files(folder: Path, found: Iterator[Member]) -> None:
    """Artifacts under a folder. Names were checked when the file was read."""
    for member in found:
        path = folder / member.name.partition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            for block in member.blocks():
                file.write(block)
            file.flush()
            os.fsync(file.fileno())


def _bring_up_to_date(engine: Engine, *, now: datetime, say: Callable[[str], object]) -> None:
    migrate(engine)
    with engine.begin() as conn:
        released = queue.release_all(conn, now=now)
    if released:
        say(f"{released} trials that were in training are queued again")
    if findings := integrity.examine(engine):
        say(sentences(findings))


def bring_mlflow(url: str, to: str | None = None) -> None:
    """MLflow's tables, made by MLflow itself: at a version, or brought to its newest."""
    done = subprocess.run(  # noqa: S603 - our own module
        python("-m", "services.sink.store", *([] if to is None else [to])),
        env=clean_environment(MLFLOW_BACKEND_STORE_URI=url, MLFLOW_DISABLE_TELEMETRY="true"),
        capture_output=True,
        text=True,
        timeout=MLFLOW_SECONDS,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise StackError(f"MLflow's store cannot be made: {said[-1][:500]}")


@contextmanager
def _opened(source: str, home: Path) -> Iterator[IO[bytes]]:
    """The file. What comes on standard input is laid aside first, since it is read twice."""
    try:
        if source != STREAM:
            with Path(source).open("rb") as file:
                yield file
            return
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 2**20)
            yield file
    except OSError as error:
        raise StackError(f"{error.filename or source}: {error.strerror}; nothing was restored") from error
