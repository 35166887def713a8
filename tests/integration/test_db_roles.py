"""The services' own role, whatever its password; and a schema that is newer than the code."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from db.embedded import EmbeddedServer
from db.engine import make_engine, migrate

ROLE = "service"
PASSWORD = "p@ss/w#rd:100%'"
BASES = ("owned", "owned_mlflow")


def prepare(url: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`python -m db prepare` to its end."""
    command = [sys.executable, "-m", "db", "prepare", "--also", "owned_mlflow"]
    told = {"ACTINIUM_DATABASE_URL": url, "PATH": "/usr/bin:/bin", **environment}
    return subprocess.run(command, env=told, capture_output=True, text=True, check=False)


@pytest.fixture
def server(postgres: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """The tests' server, without the databases and the role afterwards."""
    yield postgres
    with closing(psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True)) as admin:
        for name in BASES:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(ROLE)))


def addresses(server: EmbeddedServer) -> tuple[str, str]:
    """Of the service, without a password; and of the superuser."""
    admin = server.address("postgres")
    return server.address("owned").replace("postgres@", f"{ROLE}@"), admin


@pytest.mark.parametrize("before", [True, False])
def test_services_get_a_role_that_owns_two_databases_and_is_no_superuser(server: EmbeddedServer, before: bool) -> None:
    """`before`: an installation in which a superuser owned everything."""
    url, admin = addresses(server)
    if before:
        with closing(psycopg.connect(host=str(server.sockets), user="postgres", autocommit=True)) as connection:
            connection.execute("CREATE DATABASE owned")
        old = make_engine(server.address("owned"), pool_size=1)
        migrate(old, to="0010")
        old.dispose()
    for _ in range(2):  # as with each start
        done = prepare(url, ACTINIUM_DATABASE_ADMIN_URL=admin, PGPASSWORD=PASSWORD)
        assert done.returncode == 0, done.stderr
    engine = make_engine(url, pool_size=1)
    with engine.connect() as connection:
        who = connection.execute(text("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"))
        assert [tuple(row) for row in who] == [(False, False)]
        owners = connection.execute(text("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"))
        assert owners.scalars().all() == [ROLE]
        connection.execute(text("INSERT INTO layouts (digest, series) VALUES ('x', ARRAY['a'])"))
    engine.dispose()
    with closing(psycopg.connect(host=str(server.sockets), user="postgres")) as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (ROLE,)).fetchone()
    assert kept is not None and kept[0].startswith("SCRAM-SHA-256$")


def test_a_schema_that_is_newer_than_the_code_is_one_sentence(server: EmbeddedServer) -> None:
    url, admin = addresses(server)
    assert prepare(url, ACTINIUM_DATABASE_ADMIN_URL=admin).returncode == 0
    engine = make_engine(url, pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for command in (("db", "prepare"), ("services.api",), ("services.dispatcher",)):
        told = {"ACTINIUM_DATABASE_URL": url, "PATH": "/usr/bin:/bin", "ACTINIUM_HOME": "/tmp/nowhere"}
        done = subprocess.run(
            [sys.executable, "-m", *command], env=told, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 1 and "Traceback" not in done.stderr
        said = done.stderr.strip().splitlines()
        assert len(said) == 1 and "the database has version 9999 of the schema, this code knows" in said[0]
