"""The schema: migrations against models, and migrating from several processes at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import CheckConstraint, Engine, text

from actinium.errors import InvalidInput, Unavailable
from db.engine import EmbeddedServer, make_engine, migrate, wait_ready
from db.models import metadata


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_check_constraints_are_those_of_the_models(engine: Engine) -> None:
    """Alembic does not compare these."""
    wanted = {
        constraint.name
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace")
        )
        assert set(found.scalars()) == wanted


def test_several_processes_migrate_one_database_at_once(postgres: EmbeddedServer) -> None:
    with psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE raced"))
    engines = [make_engine(postgres.address("raced"), pool_size=1) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, engines))
    heads = ScriptDirectory("db/migrations").get_heads()
    assert len(heads) == 1
    with engines[0].connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == heads
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "10s"
    for engine in engines:
        engine.dispose()


def test_every_connection_has_its_timeouts(engine: Engine) -> None:
    with engine.connect() as connection:
        for setting in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            assert connection.execute(text(f"SHOW {setting}")).scalar_one() != "0"
        driver: Any = connection.connection.dbapi_connection
        told = driver.info.get_parameters()
        assert {"connect_timeout", "keepalives_idle", "tcp_user_timeout"} <= told.keys()


def test_an_address_of_another_database_is_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match="sqlite is no PostgreSQL address; give postgresql://"):
        make_engine("sqlite:///x.db")


def test_waiting_for_a_server_that_is_not_there_ends_without_the_password() -> None:
    engine = make_engine("postgresql://somebody:secret@127.0.0.1:9/nowhere")
    ticks = iter(range(100))
    with pytest.raises(Unavailable, match="did not answer") as raised:
        wait_ready(engine, seconds=3, clock=lambda: next(ticks), sleep=lambda _: None)
    assert "secret" not in str(raised.value)


def test_trials_from_before_places_get_theirs(postgres: EmbeddedServer) -> None:
    with psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE older"))
    engine = make_engine(postgres.address("older"), pool_size=1)
    config = Config()
    config.set_main_option("script_location", "db:migrations")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        document = '{"project": "p", "name": "n", "priority": 0}'
        for statement in (
            "INSERT INTO studies (spec, owner, invalid_designs, cells, trials, created_at)"
            f" VALUES ('{document}', 'o', '[]', 1, 3, now())",
            "INSERT INTO cells (study_id, index, levels, config, pack_key) VALUES (1, 0, '{}', '{}', 'k')",
            "INSERT INTO trials (study_id, cell_index, seed, digest)"
            " SELECT 1, 0, seed, 'd' FROM generate_series(7, 9) AS seed",
            "INSERT INTO jobs (trial_id, study_id, pack_key, available_at) SELECT id, 1, 'k', now() FROM trials",
        ):
            connection.exec_driver_sql(statement)
        connection.commit()
    migrate(engine)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT trials.seed, trials.place, jobs.place FROM trials JOIN jobs ON trial_id = id ORDER BY id")
        )
        assert [tuple(row) for row in found] == [(7, 0, 0), (8, 1, 1), (9, 2, 2)]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
