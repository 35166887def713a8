"""People of an identity provider: they may what the living tokens of their name may, and own what these own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from provider import AUDIENCE, Provider
from served import served
from sqlalchemy import Engine, text

from actinium.job import Role
from db import tokens
from services.api.app import create_app
from services.api.identity import Identities
from services.settings import Settings

STUDY = {"name": "s", "factors": {"activation": ["relu", "elu"]}, "seeds": 2}


@pytest.fixture
def provider() -> Provider:
    """Somebody else's service."""
    return Provider()


@pytest.fixture
def api_url(api_settings: Settings, engine: Engine, provider: Provider) -> Iterator[str]:
    """An API that believes the provider."""
    settings = api_settings.model_copy(
        update={"oidc_issuer": provider.issuer, "oidc_audience": AUDIENCE, "failed_attempts_per_minute": 4}
    )
    app = create_app(settings, engine=engine)
    assert isinstance(app.state.identities, Identities)
    app.state.identities = Identities(
        issuer=provider.issuer, audience=AUDIENCE, claim=settings.oidc_claim, fetch=provider.fetch
    )
    with served(app) as address:
        yield address


def test_an_identity_is_the_tokens_of_its_name(
    api_url: str, provider: Provider, engine: Engine, secrets: dict[Role, str]
) -> None:
    """Nobody without one; the strongest of several; nobody again when they are revoked or over. Our own go on."""

    def asked(method: str = "GET", path: str = "/v1/studies", body: Any = None, **claims: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {provider.token(**claims)}"}
        return httpx.request(method, api_url + path, headers=headers, json=body)

    unknown = asked()
    assert (unknown.status_code, "actinium token create ada@example.org" in unknown.json()["detail"]) == (401, True)
    now = datetime.now(UTC)
    with engine.begin() as connection:
        tokens.create(connection, name="ada@example.org", role=Role.VIEWER, now=now)
    assert asked().status_code == 200
    assert asked("POST", "/v1/studies", STUDY).status_code == 403
    with engine.begin() as connection:
        end = now + timedelta(days=1)
        own = tokens.create(connection, name="ada@example.org", role=Role.SUBMITTER, now=now, expires_at=end)
    assert asked("POST", "/v1/studies", STUDY).status_code == 201
    held = {"Authorization": f"Bearer {own}"}
    assert httpx.get(f"{api_url}/v1/studies/s", headers=held).json()["owner"] == "ada@example.org"
    assert httpx.post(f"{api_url}/v1/studies/s/pause", headers=held).status_code == 200
    assert asked("POST", "/v1/studies/s/resume").status_code == 200
    assert asked("POST", "/v1/studies/s/pause", email="sam").status_code == 403
    with engine.begin() as connection:
        connection.execute(text("UPDATE tokens SET revoked_at = now() WHERE role = 'viewer'"))
        connection.execute(text("UPDATE tokens SET expires_at = now() WHERE expires_at IS NOT NULL"))
    assert asked().status_code == 401
    other = {"Authorization": f"Bearer {secrets[Role.SUBMITTER]}"}
    assert httpx.get(f"{api_url}/v1/studies", headers=other).status_code == 200


def test_identity_tokens_that_do_not_count_are_guesses(api_url: str, provider: Provider, engine: Engine) -> None:
    """401, and 429 after so many."""
    with engine.begin() as connection:
        tokens.create(connection, name="ada@example.org", role=Role.ADMIN, now=datetime.now(UTC))
    seen = []
    for number in range(6):
        headers = {"Authorization": f"Bearer {provider.token(aud='another', jti=str(number))}"}
        seen.append(httpx.get(f"{api_url}/v1/tokens", headers=headers).status_code)
    assert seen == [401] * 4 + [429] * 2


def test_no_name_at_the_provider_means_a_token_of_a_service(
    api_url: str, provider: Provider, engine: Engine, now: datetime
) -> None:
    """Whoever is called `admin` there would else be one: the installation's own token has that name."""
    own = tokens.new_secret()
    with engine.begin() as connection:
        tokens.ensure(connection, secret=own, name="admin", role=Role.ADMIN, now=now, service=True)
    provider.who = "admin"
    headers = {"Authorization": f"Bearer {provider.token()}"}
    refused = httpx.get(f"{api_url}/v1/tokens", headers=headers)
    assert refused.status_code == 401 and "no token opens for 'admin'" in refused.text
    assert httpx.get(f"{api_url}/v1/tokens", headers={"Authorization": f"Bearer {own}"}).status_code == 200
    with engine.begin() as connection:
        tokens.create(connection, name="admin", role=Role.VIEWER, now=now)
    assert httpx.get(f"{api_url}/v1/studies", headers=headers).status_code == 200
    assert httpx.get(f"{api_url}/v1/tokens", headers=headers).status_code == 403
