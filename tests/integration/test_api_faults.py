"""When the service itself is in trouble: faults, a database that is away, and what its log says."""

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from actinium.errors import StackError
from actinium.job import Role
from db.engine import make_engine
from services.api.app import create_app
from services.settings import Settings


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log at its most talkative."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


DAMAGES = (
    ("update studies set spec = jsonb_set(spec::jsonb, '{seeds}', '0')::json", "/v1/studies/s"),
    ("alter table summaries rename to elsewhere", "/v1/studies/s/trials"),
)
"""What is damaged, and a route that reads it."""


def test_a_fault_is_500_with_the_request_in_the_log(
    submitter: httpx.Client, engine: Engine, messages: pytest.LogCaptureFixture, subtests: pytest.Subtests
) -> None:
    """Damaged data stands for any fault: the answer shows no inside, the log has the traceback."""
    submitter.post("/v1/studies", json={"name": "s"})
    for number, (damage, path) in enumerate(DAMAGES):
        with subtests.test(damage=damage):
            with engine.begin() as connection:
                connection.execute(text(damage))
            answer = submitter.get(path, headers={"X-Request-ID": f"find-{number}"})
            assert answer.status_code == 500
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["request_id"] == answer.headers["X-Request-ID"] == f"find-{number}"
            assert "summaries" not in answer.text
            assert "seeds" not in answer.text
            assert any(r.exc_info and f"find-{number}" in r.getMessage() for r in messages.records)


def test_no_secret_in_the_log(
    submitter: httpx.Client, admin: httpx.Client, secrets: dict[Role, str], messages: pytest.LogCaptureFixture
) -> None:
    """Neither tokens nor query strings."""
    submitter.get("/v1/studies", params={"q": "private words"})
    made = admin.post("/v1/tokens", json={"name": "x", "role": "viewer"}).json()["token"]
    submitter.get("/v1/studies", headers={"Authorization": "Bearer act_mistyped"})
    ours = [
        record.getMessage() for record in messages.records if record.name.startswith(("actinium", "services", "db"))
    ]
    assert any("/v1/studies 200" in line and "by=sam" in line for line in ours)
    for secret in (*secrets.values(), made, "act_mistyped", "private"):
        assert not any(secret in line for line in ours)


async def asked(settings: Settings, engine: Engine, path: str) -> httpx.Response:
    """One request to an app of its own."""
    transport = httpx.ASGITransport(app=create_app(settings, engine=engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
        return await http.get(path, headers={"Authorization": "Bearer act_x"})


def test_a_database_that_is_away_is_503(run_async: Any) -> None:
    """Ready says so, requests say so, and the process lives."""
    settings = Settings(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
    engine = make_engine(str(settings.database_url))
    for path in ("/readyz", "/v1/studies"):
        answer = run_async(asked, settings, engine, path)
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"]
    assert run_async(asked, settings, engine, "/healthz").status_code == 200
    assert "actinium_database_up 0.0" in run_async(asked, settings, engine, "/metrics").text
    engine.dispose()


@pytest.fixture
def run_async() -> Any:
    """Runs a coroutine function to its end."""
    import anyio

    return anyio.run


def test_without_a_database_there_is_no_app() -> None:
    """The message names the variable."""
    with pytest.raises(StackError, match="ACTINIUM_DATABASE_URL"):
        create_app(Settings(database_url=None))
