"""The dashboard has no rights of its own: without a token it asks for one, and shows what that one may read."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

import dashboard
from actinium.client import Client
from actinium.home import ClientFile
from actinium.job import Role
from dashboard import signin
from dashboard.signin import IDLE_SECONDS, MOST_SESSIONS, Sessions

APP = str(Path(dashboard.__path__[0]) / "app.py")
Opened = Callable[[], AppTest]


@pytest.fixture
def opened(
    api_url: str, secrets: dict[Role, str], submitter: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Opened]:
    """Opens the dashboard anew, on an API with a study; the home's own client file has the admin's token."""
    submitter.post("/v1/studies", json={"name": "quince"})
    monkeypatch.setenv("ACTINIUM_URL", api_url)
    monkeypatch.setenv("ACTINIUM_HOME", str(tmp_path))
    monkeypatch.delenv("ACTINIUM_TOKEN", raising=False)
    ClientFile(url=api_url, token=secrets[Role.ADMIN]).write(tmp_path)
    yield lambda: AppTest.from_file(APP).run(timeout=60)
    signin.sessions().end_all()
    signin.sessions.clear()


def shown(page: AppTest) -> str:
    """All that stands on the page."""
    assert not page.exception
    return " ".join(
        [str(element.value) for element in page.title] + [str(element.proto) for element in page.get("html")]
    )


def given(page: AppTest, token: str) -> AppTest:
    """The form, filled in and sent."""
    page.text_input(key="token").set_value(token)
    return page.button[0].click().run(timeout=60)


def test_without_a_token_it_asks_and_shows_nothing(opened: Opened) -> None:
    """Not with the token of a stack's own file, which is an admin's; on no page."""
    page = opened()
    assert "quince" not in shown(page)
    assert len(page.text_input) == 1
    for query in ({"study": "1"}, {"page": "catalogue"}):
        other = AppTest.from_file(APP)
        other.query_params.update(query)
        other.run(timeout=60)
        assert [element.value for element in other.title] == ["Actinium"]


def test_a_wrong_token_is_refused_with_the_reason(opened: Opened, secrets: dict[Role, str], engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE tokens SET expires_at = now() WHERE name = 'ann'"))
    page = opened()
    for token, reason in (("act_no", "not known"), ("ä\u0301", "characters"), (secrets[Role.VIEWER], "'ann' expired")):
        page = given(page, token)
        assert reason in page.error[0].value
        assert token not in page.error[0].value
        assert "quince" not in shown(page)
    assert given(page, "  ").error == []


def test_a_right_token_opens_and_signing_out_closes(opened: Opened, secrets: dict[Role, str]) -> None:
    """For this page alone: another one is asked."""
    page = given(opened(), f" {secrets[Role.VIEWER]} ")
    assert "quince" in shown(page)
    assert "quince" not in shown(opened())
    assert secrets[Role.VIEWER] not in shown(page)
    page.button(key="sign-out").click().run(timeout=60)
    assert "quince" not in shown(page)
    assert len(page.text_input) == 1


def test_a_token_that_is_revoked_meanwhile_shows_nothing_more(
    opened: Opened, secrets: dict[Role, str], engine: Engine
) -> None:
    page = given(opened(), secrets[Role.VIEWER])
    with engine.begin() as connection:
        connection.execute(text("UPDATE tokens SET revoked_at = now() WHERE name = 'ann'"))
    page.run(timeout=60)
    assert "does not accept this page's token" in page.error[0].value
    page.run(timeout=60)
    assert len(page.text_input) == 1


def test_a_configured_token_is_everybodys(
    opened: Opened, secrets: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on one's own machine: the page opens without a word."""
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.VIEWER])
    page = opened()
    assert "quince" in shown(page)
    assert not [button for button in page.button if button.key == "sign-out"]


def test_sessions_are_known_by_a_word_and_end() -> None:
    sessions = Sessions()
    a, b, c = (Client("http://127.0.0.1:9", token) for token in "abc")
    one, two = sessions.begin(a, now=0.0), sessions.begin(b, now=0.0)
    assert (sessions.client(one, now=1.0), sessions.client(two, now=1.0)) == (a, b)
    assert sessions.client("guess", now=1.0) is None
    sessions.end(one)
    assert sessions.client(one, now=2.0) is None
    assert sessions.client(two, now=IDLE_SECONDS) is b
    assert sessions.client(two, now=2.0 * IDLE_SECONDS) is None
    later = 3.0 * IDLE_SECONDS
    words = [sessions.begin(c, now=later + number) for number in range(MOST_SESSIONS + 1)]
    assert sessions.client(words[0], now=later + MOST_SESSIONS) is None
    assert sessions.client(words[1], now=later + MOST_SESSIONS) is c
    assert len(set(words)) == MOST_SESSIONS + 1
    sessions.end_all()
    assert sessions.client(words[1], now=later + MOST_SESSIONS) is None


def test_the_dashboard_shows_nothing_under_a_foreign_name(
    opened: Opened, secrets: dict[Role, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's page whose name was made to mean this machine."""
    monkeypatch.setenv("ACTINIUM_TOKEN", secrets[Role.VIEWER])
    for host, known in (("evil.example:8322", False), ("127.0.0.1:8322", True), ("studies.example.org", True)):
        monkeypatch.setenv("ACTINIUM_ALLOWED_HOSTS", "studies.example.org")
        monkeypatch.setattr(ContextProxy, "headers", property(lambda _, host=host: {"Host": host}))
        page = opened()
        assert ("quince" in shown(page)) == known
        assert bool(page.error) != known
