"""PostgreSQL for tests: one embedded server a session, a template migrated once, a clone of it for each test."""

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, Engine

from actinium.frame import Outcome, TrialSummary
from actinium.study import Design, expand, parse_study
from db.engine import EmbeddedServer, embedded, make_engine, migrate

pytest_plugins = ("repeatable", "stack_fixture", "ray_fixture")

NUMBERS = itertools.count()
PATIENCE = 120.0
"""Seconds that a test's request waits for each part of an answer, unless it says otherwise. httpx would give up after
five, which a machine with several busy processes needs for some answers.
"""


def pytest_configure() -> None:
    """One thread for arithmetic, as workers have it, said before torch is imported; and patience with answers."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The one object that httpx's functions and clients have as the default of `timeout`.
    default = signature(httpx.get).parameters["timeout"].default
    default.read = default.write = default.pool = PATIENCE


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedServer]:
    """A server of this session's own, gone with it."""
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as home:
        server = embedded(Path(home), durable=False)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def template(postgres: EmbeddedServer) -> str:
    """The name of a migrated database that nobody is connected to."""
    engine = make_engine(postgres.url)
    migrate(engine)
    engine.dispose()
    return "actinium"


@pytest.fixture
def database_url(postgres: EmbeddedServer, template: str) -> Iterator[str]:
    """The address of a fresh, migrated, empty database."""
    name = f"test_{next(NUMBERS)}"
    with closing(psycopg.connect(host=str(postgres.sockets), user="postgres", autocommit=True)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        yield postgres.address(name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A pool on a fresh database."""
    engine = make_engine(database_url, pool_size=10)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection to a fresh database; what is not committed is rolled back."""
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def now() -> datetime:
    """A moment to begin with; tests add to it instead of waiting."""
    return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def design() -> Callable[..., Design]:
    """Makes a small grid of cells and seeds; fields of the study document may be given."""

    def make(**fields: Any) -> Design:
        document = {"name": "small", "factors": {"activation": ["relu", "elu"]}, "seeds": 2, **fields}
        return expand(parse_study(document))

    return make


@pytest.fixture
def summary() -> Callable[..., TrialSummary]:
    """Makes a summary as a worker would send it; fields may be given."""

    def make(**fields: Any) -> TrialSummary:
        usual = {
            "outcome": Outcome.CONVERGED,
            "steps": 480,
            "seconds": 1.5,
            "probe_seconds": 0.1,
            "metrics": {"validation_loss": 0.25, "dead_unit_rate/layer_01": 0.125},
            "probe_examples": 360,
            "parameters": 43_658,
            "pack_width": 4,
            "device": "cpu",
        }
        return TrialSummary.model_validate({**usual, **fields})

    return make
