"""Backup and restore between databases: every row, every number, one moment; older versions, and what is refused."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from actinium.datasets.table import StoredDataset
from actinium.errors import Conflict, InvalidInput, StackError
from actinium.frame import Frame, Layout, TrialSummary
from actinium.job import JobState, Role
from actinium.study import Design
from db import datasets, dump, frames, integrity, models, outbox, queue, studies, tokens
from db.engine import EmbeddedServer, make_engine, migrate, revision, revisions
from db.outbox import StudyNews, TrialNews
from services.settings import Settings
from services.stack import restore as restoring
from services.stack.archive.manifest import MANIFEST, Digest, Manifest
from services.stack.archive.reader import members
from services.stack.archive.writer import Writer
from services.stack.backup import backup, write
from services.stack.restore import restore

Make = Callable[..., Design]
LAYOUT = Layout(series=("validation_loss", "train_loss"))


@pytest.fixture
def other(postgres: EmbeddedServer) -> Iterator[Engine]:
    """An empty database on the same server."""
    with closing(psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE restored"))
        engine = make_engine(postgres.address("restored"), pool_size=3)
        yield engine
        engine.dispose()
        admin.execute(sql.SQL("DROP DATABASE restored WITH (FORCE)"))


@pytest.fixture
def lived(engine: Engine, design: Make, summary: Callable[..., TrialSummary], now: datetime) -> Engine:
    """Something in every table that a service fills, with everything that is hard to write as text."""
    odd = np.array([[np.nan, np.inf], [1e-45, -3.4e38]], dtype=np.float32)
    with engine.begin() as conn:
        spec = design(description="tab\tline\nback\\slash \\N é 𝄞", tags={"a": "b"})
        studies.create(conn, spec, owner="ada", now=now)
        pack = queue.lease(conn, now=now, holder="d", lease_seconds=30, width=2)
        given = [(one.trial_id, one.attempt, step) for one in pack for step in (0, 1)]
        frames.write(
            conn,
            LAYOUT,
            [
                Frame(trial_id=trial, attempt=attempt, step=step, time=0.1 + step, values=odd[step])
                for trial, attempt, step in given
            ],
        )
        queue.complete(conn, now=now, attempt=pack[0], summary=summary())
        tokens.create(conn, name="ada", role=Role.SUBMITTER, now=now)
        stored = StoredDataset(sha256="f" * 64, shape=(1, 1, 2), classes=2, examples=4)
        content = bytes(range(256)) * 50_000
        datasets.add(conn, name="mine", stored=stored, label_counts=[2, 2], content=content, owner="ada", now=now)
    return engine


def settings(engine: Engine, home: Path) -> Settings:
    """Somebody else's server and MLflow, so that only our database is in the backup."""
    url = engine.url.render_as_string(hide_password=False)
    return Settings(home=home, database_url=url, mlflow_url="http://elsewhere")


def rows(conn: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, as text, in some order."""
    found = {}
    for table in dump.tables(conn):
        lines = conn.execute(text(f'SELECT CAST(whole.* AS text) FROM "{table.name}" AS whole ORDER BY 1'))
        found[table.name] = [tuple(row) for row in lines]
    return found


def test_every_row_comes_back_and_the_numbers_go_on(
    lived: Engine, other: Engine, design: Make, now: datetime, tmp_path: Path
) -> None:
    said: list[str] = []
    file = str(tmp_path / "b.tar")
    backup(settings(lived, tmp_path / "a"), file, now=now, say=said.append)
    later = now + timedelta(days=1)
    with lived.connect() as conn:
        before = rows(conn)
        assert {table for table, lines in before.items() if lines} >= {
            "frames",
            "tokens",
            "dataset_pieces",
            "summaries",
        }
    restore(settings(other, tmp_path / "b"), file, now=later, say=said.append)
    assert said[-2:] == [
        "1 trials that were in training are queued again",
        said[0].replace(f"{file}: ", "restored: "),
    ]
    with other.begin() as conn:
        after = rows(conn)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"jobs", "trial_events"}, "but what was leased is queued again, and told"
        jobs = conn.execute(
            select(models.jobs.c["trial_id", "state", "attempt"]).order_by(models.jobs.c.trial_id)
        ).all()
        assert [tuple(job) for job in jobs] == [
            (1, "succeeded", 1),
            (2, "queued", 1),
            (3, "queued", 0),
            (4, "queued", 0),
        ]
        assert integrity.check(conn) == []
        assert studies.create(conn, design(name="next"), owner="ada", now=later) == 2
        assert [trial.id for trial in studies.trials_page(conn, 2).items] == [5, 6, 7, 8]
        assert revision(conn) == revisions()[0]


def test_a_backup_is_of_one_moment_under_load(
    lived: Engine, other: Engine, design: Make, summary: Callable[..., TrialSummary], now: datetime, tmp_path: Path
) -> None:
    """Everything ends while the first table is read, and none of it is in the backup."""

    class Ending(io.BytesIO):
        def write(self, data: object) -> int:
            with lived.begin() as conn:
                for pack in iter(lambda: queue.lease(conn, now=now, holder="e", lease_seconds=30, width=9), []):
                    queue.complete_many(conn, now=now, results=[(one, summary()) for one in pack])
            return super().write(data)  # type: ignore[arg-type]

    file = tmp_path / "b.tar"
    stream = Ending()
    manifest = write(stream, lived, None, artifacts=tmp_path, now=now)
    file.write_bytes(stream.getvalue())
    with lived.connect() as conn:
        assert dump.counts(conn, ["summaries"]) == {"summaries": 3}
    assert manifest.databases["actinium"].rows["summaries"] == 1
    restore(settings(other, tmp_path / "b"), str(file), now=now, say=str)
    assert integrity.examine(other) == []


def test_only_the_mirror_waits_for_a_backup_to_begin(
    lived: Engine, summary: Callable[..., TrialSummary], now: datetime
) -> None:
    with ExitStack() as stack:
        conn = stack.enter_context(lived.begin())
        news = outbox.pending(conn, now=now, limit=9)
        conn.commit()
        study = next(item for item in news if isinstance(item, StudyNews))
        trial = next(item for item in news if isinstance(item, TrialNews))
        with dump.mirror_held(lived):
            held = stack.enter_context(lived.connect())
            for tell in (
                lambda: outbox.advance_study(held, now=now, news=study, experiment_id="1"),
                lambda: outbox.advance_trial(held, now=now, news=trial, run_id="r", step=1),
            ):
                held.execute(text("SET LOCAL lock_timeout = '50ms'"))
                with pytest.raises(DBAPIError, match="lock timeout"):
                    tell()
                held.rollback()
            (pack,) = queue.lease(held, now=now, holder="e", lease_seconds=30, width=1)
            assert queue.complete(held, now=now, attempt=pack, summary=summary())
            held.commit()
        outbox.advance_trial(held, now=now, news=trial, run_id="r", step=1)


def test_an_older_backup_is_brought_up_to_date_and_a_newer_one_refused(
    lived: Engine, other: Engine, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with other.begin() as conn:
        assert revision(conn) is None
    migrate(other, to="0011")  # before there was a history
    with other.begin() as conn:
        conn.execute(models.tokens.insert().values(name="ada", role="admin", digest=b"\x00\\\n", created_at=now))
    old, new = str(tmp_path / "old.tar"), str(tmp_path / "new.tar")
    backup(settings(other, tmp_path / "a"), old, now=now, say=str)
    backup(settings(lived, tmp_path / "a"), new, now=now, say=str)
    with other.begin() as conn:
        conn.execute(text("DELETE FROM tokens"))
    restore(settings(other, tmp_path / "b"), old, now=now, say=str)
    with other.begin() as conn:
        assert revision(conn) == revisions()[0]
        assert conn.execute(select(models.tokens.c["name", "digest"])).all() == [("ada", b"\x00\\\n")]
        conn.execute(text("DELETE FROM tokens"))
    monkeypatch.setattr(restoring, "revisions", lambda: ["0011", "0010"])
    with pytest.raises(StackError, match=r"this code knows 0011 and older: install the newer Actinium"):
        restore(settings(other, tmp_path / "c"), new, now=now, say=str)
    assert not (tmp_path / "c").exists()


def forged(source: Path, target: Path, before: str, after: str) -> None:
    """The backup with a word of its manifest and of its members' names changed, and every digest right."""
    with source.open("rb") as file, target.open("wb") as out:
        writer, digest = Writer(out), Digest()
        for member in members(file):
            content = b"".join(member.blocks())
            if member.name == MANIFEST:
                manifest = json.loads(content.decode().replace(f'"{before}"', f'"{after}"'))
                manifest["databases"]["actinium"]["part"] = digest.section().model_dump()
                writer.end(Manifest.model_validate(manifest))
                return
            name = member.name.replace(f"/{before}/", f"/{after}/")
            writer._add(name, io.BytesIO(content), len(content), digest)


FORGED = [
    *(("tokens", "pg_authid"), ("tokens", "pg_settings"), ("tokens", "x")),
    *(("digest", "secret"), ("tokens_id_seq", "pg_x")),
]


@pytest.mark.parametrize(("before", "after"), FORGED)
def test_a_forged_backup_writes_to_no_table_but_the_schemas(
    lived: Engine, other: Engine, now: datetime, tmp_path: Path, before: str, after: str
) -> None:
    """The server's own tables have names, too: with a row in pg_authid there is a superuser more."""
    real, fake = tmp_path / "b.tar", tmp_path / "forged.tar"
    backup(settings(lived, tmp_path / "a"), str(real), now=now, say=lambda _: None)
    forged(real, fake, before, after)
    with other.connect() as conn:
        roles = conn.execute(text("SELECT count(*) FROM pg_roles")).scalar_one()
    with pytest.raises(InvalidInput, match="no such table, column or sequence"):
        restore(settings(other, tmp_path / "b"), str(fake), now=now, say=lambda _: None)
    with other.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM pg_roles")).scalar_one() == roles
        assert conn.execute(text("SELECT count(*) FROM studies")).scalar_one() == 0


def test_what_is_not_empty_stays_as_it_is(lived: Engine, other: Engine, now: datetime, tmp_path: Path) -> None:
    file = tmp_path / "b.tar"
    backup(settings(lived, tmp_path / "a"), str(file), now=now, say=str)
    with lived.connect() as conn:
        before = rows(conn)
    with pytest.raises(Conflict, match=r"the database is not empty \(cells, dataset_contents, .* have rows\)"):
        restore(settings(lived, tmp_path / "b"), str(file), now=now, say=str)
    with lived.connect() as conn:
        assert rows(conn) == before
    home = tmp_path / "full"
    (home / "postgres").mkdir(parents=True)
    with pytest.raises(StackError, match=r"full is not empty \(postgres\); a backup is restored into an empty home"):
        restore(settings(other, home), str(file), now=now, say=str)
    with pytest.raises(StackError, match=r"b\.tar is there already"):
        backup(settings(lived, tmp_path / "a"), str(file), now=now, say=str)
    file.write_bytes(file.read_bytes()[:-20_000])
    with pytest.raises(Exception, match=r"b\.tar cannot be restored: it was cut off"):
        restore(settings(other, tmp_path / "c"), str(file), now=now, say=str)
    with pytest.raises(StackError, match=r"nowhere\.tar: No such file or directory; nothing was restored"):
        restore(settings(other, tmp_path / "c"), str(tmp_path / "nowhere.tar"), now=now, say=str)
    with other.connect() as conn:
        assert dump.tables(conn) == []
    assert not (tmp_path / "c").exists()


def test_a_restore_that_fails_half_way_leaves_nothing_and_can_be_tried_again(
    lived: Engine, other: Engine, now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "b.tar")
    backup(settings(lived, tmp_path / "a"), file, now=now, say=str)
    with monkeypatch.context() as patch:
        patch.setattr(dump, "set_sequences", lambda conn, last: conn.execute(text("SELECT 1 / 0")))
        with pytest.raises(StackError, match=r"the database did not take the backup: .*division by zero"):
            restore(settings(other, tmp_path / "b"), file, now=now, say=str)
    with other.connect() as conn:
        assert set(dump.counts(conn, [table.name for table in dump.tables(conn)]).values()) == {0}
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["logs", "run", "stack.lock"]
    restore(settings(other, tmp_path / "b"), file, now=now, say=str)
    with other.connect() as conn:
        states = conn.execute(select(models.jobs.c.state)).scalars().all()
    assert states.count(JobState.SUCCEEDED) == 1


def test_tables_come_after_those_they_refer_to(engine: Engine) -> None:
    with engine.connect() as conn:
        names = [table.name for table in dump.tables(conn)]
        assert set(names) == set(models.metadata.tables)
        assert names.index("studies") < names.index("cells") < names.index("trials") < names.index("summaries")
        spec = next(table for table in dump.tables(conn) if table.name == "studies")
        assert "spec" in spec.columns and "priority" not in spec.columns, "computed columns are computed again"
