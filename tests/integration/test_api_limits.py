"""Who sends tokens that open nothing is stopped for a while, at its address alone; who asks too often, by its token."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from served import served
from sqlalchemy import Engine

from actinium.job import Role
from services.api.__main__ import proxied
from services.api.access import now
from services.api.app import create_app
from services.settings import Settings


class Clock:
    """The API's time, in a test's hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        """As the app asks for it."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """It stands still until it is moved."""
    return Clock()


@pytest.fixture
def api_settings(api_settings: Settings) -> Settings:
    """Three wrong tokens and ten requests a minute; this machine is a proxy."""
    limits = {"failed_attempts_per_minute": 3, "requests_per_minute": 10, "proxies": "127.0.0.1"}
    return api_settings.model_copy(update=limits)


@pytest.fixture
def api_url(api_settings: Settings, engine: Engine, clock: Clock) -> Iterator[str]:
    """A server with the options of the real one."""
    app = create_app(api_settings, engine=engine)
    app.dependency_overrides[now] = clock
    with served(app, **proxied(api_settings)) as address:
        yield address


def asked(api_url: str, secret: str | None, *, by: str = "10.0.0.1") -> httpx.Response:
    """A request by way of the proxy."""
    headers = {"X-Forwarded-For": by} | ({"Authorization": f"Bearer {secret}"} if secret is not None else {})
    return httpx.get(f"{api_url}/v1/studies", headers=headers)


def test_guesses_are_stopped_where_they_come_from(api_url: str, secrets: dict[Role, str], clock: Clock) -> None:
    """429 says when; the same guesses from elsewhere and right tokens are answered as ever; none is no guess."""
    assert asked(api_url, secrets[Role.VIEWER]).status_code == 200
    assert {asked(api_url, None).status_code for _ in range(5)} == {401}
    assert [asked(api_url, f"act_{guess}").status_code for guess in range(5)] == [401, 401, 401, 429, 429]
    refused = asked(api_url, "act_9")
    assert refused.headers["Retry-After"] == "20"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert asked(api_url, "act_9", by="10.0.0.2").status_code == 401
    assert asked(api_url, secrets[Role.ADMIN], by="10.0.0.2").status_code == 200
    assert asked(api_url, secrets[Role.VIEWER]).status_code == 200
    assert httpx.get(f"{api_url}/readyz", headers={"X-Forwarded-For": "10.0.0.1"}).status_code == 200
    clock.now += timedelta(seconds=20)
    assert [asked(api_url, "act_9").status_code for _ in range(2)] == [401, 429]
    clock.now += timedelta(seconds=20)
    assert asked(api_url, secrets[Role.SUBMITTER]).status_code == 200


def test_a_token_asks_so_often_and_no_more(api_url: str, secrets: dict[Role, str], clock: Clock) -> None:
    seen = [asked(api_url, secrets[Role.VIEWER], by=f"10.0.0.{number}").status_code for number in range(12)]
    assert seen == [200] * 10 + [429] * 2
    assert asked(api_url, secrets[Role.VIEWER]).headers["Retry-After"] == "6"
    assert asked(api_url, secrets[Role.SUBMITTER]).status_code == 200
    clock.now += timedelta(seconds=6)
    assert [asked(api_url, secrets[Role.VIEWER]).status_code for _ in range(2)] == [200, 429]


def test_nobody_is_believed_where_a_request_comes_from_unless_told_so(
    api_settings: Settings, engine: Engine, clock: Clock
) -> None:
    """Without proxies the address is the connection's, whatever the header says."""
    alone = api_settings.model_copy(update={"proxies": None})
    app = create_app(alone, engine=engine)
    app.dependency_overrides[now] = clock
    with served(app, **proxied(alone)) as address:
        seen = [asked(address, "act_guess", by=f"10.0.0.{number}").status_code for number in range(5)]
    assert seen == [401, 401, 401, 429, 429]
