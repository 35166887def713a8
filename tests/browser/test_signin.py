"""A team's dashboard in a real browser: it asks for a token once; links and reloads ask no more, others are asked."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from provider import AUDIENCE, Provider
from served import served
from sqlalchemy import Engine
from stack_fixture import RunningStack

import dashboard
from actinium.job import Role
from db import tokens
from services.api.app import create_app
from services.settings import Settings
from services.stack import ports

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@contextmanager
def started(api: str, port: int, home: Path) -> Iterator[str]:
    """The address of a dashboard that was started in `home`, without a token."""
    app = Path(dashboard.__path__[0]) / "app.py"
    options = ("headless=true", "address=127.0.0.1", f"port={port}", "fileWatcherType=none")
    command = [sys.executable, "-m", "streamlit", "run", str(app), *(f"--server.{option}" for option in options)]
    command.append("--browser.gatherUsageStats=false")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTINIUM_")}
    environment = kept | {"ACTINIUM_URL": api, "ACTINIUM_HOME": str(home)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home
    ) as process:
        address = f"http://127.0.0.1:{port}"
        transport = httpx.HTTPTransport(retries=20)  # each after a longer pause
        try:
            with httpx.Client(transport=transport) as http:
                assert http.get(f"{address}/_stcore/health").status_code == 200
            yield address
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def asking(stack: RunningStack) -> Iterator[str]:
    """The address of a dashboard of the running stack that was started without a token."""
    with tempfile.TemporaryDirectory() as home, started(stack.address.url, ports.any_free(), Path(home)) as address:
        yield address


@pytest.fixture(scope="module")
def token(stack: RunningStack) -> str:
    """A viewer's."""
    with stack.client() as client:
        return str(client.create_token("looks", "viewer")["token"])


def test_a_token_is_asked_for_once(page: Page, browser: Browser, asking: str, token: str) -> None:
    page.goto(asking)
    field = page.get_by_label("Token", exact=True)
    expect(field).to_be_visible()
    expect(page.get_by_role("heading", name="Studies", exact=True)).to_have_count(0)
    field.fill("act_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("the token is not known")).to_be_visible()
    field.fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Studies", exact=True)).to_be_visible()

    page.wait_for_function("document.cookie.includes('actinium_session=')")
    page.get_by_role("link", name="What activations do").click()  # links load the page anew
    expect(page).to_have_url(f"{asking}/?page=catalogue")
    expect(page.get_by_role("heading").first).to_be_visible()
    expect(field).to_have_count(0)
    page.goto(asking)
    expect(page.get_by_role("heading", name="Studies", exact=True)).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies["actinium_session"]["sameSite"] == "Strict"
    assert cookies["actinium_session"]["expires"] == -1
    assert not [name for name, cookie in cookies.items() if token in cookie["value"]]

    other = browser.new_page()
    other.goto(asking)
    expect(other.get_by_label("Token", exact=True)).to_be_visible()
    other.close()

    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("button", name="Sign out").click()
    expect(field).to_be_visible()
    page.goto(asking)
    expect(field).to_be_visible()


SECRETS = """
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "{secret}"
client_id = "{audience}"
client_secret = "told to the provider alone"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
expose_tokens = "id"
"""


def test_people_of_a_provider_sign_in_there(page: Page, database_url: str, engine: Engine, tmp_path: Path) -> None:
    """There and back; who has no token here is told so, and afterwards is who the provider says."""
    provider = Provider()
    (tmp_path / ".streamlit").mkdir()
    with served(provider.app()) as issuer:
        provider.issuer = issuer
        told = {"database_url": database_url, "oidc_issuer": issuer, "oidc_audience": AUDIENCE}
        port = ports.any_free()
        secrets = SECRETS.format(port=port, secret="x" * 32, audience=AUDIENCE, issuer=issuer)
        (tmp_path / ".streamlit" / "secrets.toml").write_text(secrets)
        with (
            served(create_app(Settings.model_validate(told), engine=engine)) as api,
            started(api, port, tmp_path) as address,
        ):
            page.goto(address)
            page.get_by_role("button", name="Sign in with your organisation").click()
            expect(page.get_by_text("no token opens for 'ada@example.org'")).to_be_visible()
            with engine.begin() as connection:
                tokens.create(connection, name="ada@example.org", role=Role.VIEWER, now=datetime.now(UTC))
            page.reload()
            expect(page.get_by_role("heading", name="Studies", exact=True)).to_be_visible()
            page.get_by_test_id("stExpandSidebarButton").click()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_label("Token", exact=True)).to_be_visible()
