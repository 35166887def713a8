"""The real API on a real database, with a fake dispatcher that trains in a moment."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import fake_dispatcher
import httpx
import pytest
from served import served
from sqlalchemy import Engine, text

from actinium.client import Client
from actinium.job import Lease, Role
from db import tokens
from services.api.app import create_app
from services.settings import Settings

Train = Callable[..., list[Lease]]


@pytest.fixture
def api_settings(database_url: str) -> Settings:
    """Small limits, news soon, patience with preflights, and wrong tokens as many as a test likes."""
    return Settings(
        database_url=database_url,
        max_body_bytes=20_000,
        max_trials=500,
        event_seconds=0.02,
        mlflow_url="http://mlflow",
        failed_attempts_per_minute=0,
        preflight_seconds=100.0,
    )


@pytest.fixture
def api_url(api_settings: Settings, engine: Engine) -> Iterator[str]:
    """The address of a running API."""
    with served(create_app(api_settings, engine=engine)) as url:
        yield url


@pytest.fixture
def secrets(engine: Engine, now: datetime) -> dict[Role, str]:
    """A token of each role, by the names ann the viewer, sam the submitter, ada the admin."""
    names = {Role.VIEWER: "ann", Role.SUBMITTER: "sam", Role.ADMIN: "ada"}
    with engine.begin() as connection:
        return {role: tokens.create(connection, name=name, role=role, now=now) for role, name in names.items()}


@pytest.fixture
def viewer(api_url: str, secrets: dict[Role, str]) -> Iterator[httpx.Client]:
    """Requests as ann, who may look."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secrets[Role.VIEWER]}"}) as http:
        yield http


@pytest.fixture
def submitter(api_url: str, secrets: dict[Role, str]) -> Iterator[httpx.Client]:
    """Requests as sam, who may submit."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secrets[Role.SUBMITTER]}"}) as http:
        yield http


@pytest.fixture
def admin(api_url: str, secrets: dict[Role, str]) -> Iterator[httpx.Client]:
    """Requests as ada, who may do all."""
    with httpx.Client(base_url=api_url, headers={"Authorization": f"Bearer {secrets[Role.ADMIN]}"}) as http:
        yield http


@pytest.fixture
def client(api_url: str, secrets: dict[Role, str]) -> Iterator[Client]:
    """The Python client as ada; it never really pauses between attempts."""
    with Client(api_url, secrets[Role.ADMIN], sleep=lambda _: None) as given:
        yield given


@pytest.fixture
def row_counts(engine: Engine) -> Callable[[], dict[str, int]]:
    """How many rows each table that a request could write to has."""

    def count() -> dict[str, int]:
        tables = ("studies", "cells", "trials", "jobs", "outbox", "tokens", "frames", "summaries")
        with engine.begin() as connection:
            return {name: connection.execute(text(f"select count(*) from {name}")).scalar_one() for name in tables}

    return count


@pytest.fixture
def train(engine: Engine) -> Train:
    """The fake dispatcher on this test's database."""
    return partial(fake_dispatcher.train, engine)
