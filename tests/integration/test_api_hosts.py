"""The API is asked under its own names, redirects nowhere, and its page of routes needs nothing from elsewhere."""

import re

import httpx
import pytest

from services.settings import Settings


@pytest.fixture
def api_settings(api_settings: Settings) -> Settings:
    """A name of one's own."""
    return api_settings.model_copy(update={"allowed_hosts": "studies.example.org"})


def test_a_foreign_host_is_answered_nothing(submitter: httpx.Client) -> None:
    for path in ("/healthz", "/v1/studies", "/v1/studies/", "/docs", "/metrics", "/nothing"):
        answer = submitter.get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 421 and answer.headers["Content-Type"] == "application/problem+json"
        assert "ACTINIUM_ALLOWED_HOSTS" in answer.json()["detail"] and "Location" not in answer.headers
    assert submitter.get("/v1/studies", headers={"Host": "studies.example.org"}).status_code == 200


def test_nobody_is_sent_to_where_the_host_header_says(submitter: httpx.Client) -> None:
    for path in ("/v1/studies/", "/docs/", "//v1/studies", "/v1/studies//"):
        answer = submitter.get(path, headers={"Host": "studies.example.org"})
        assert answer.status_code == 404 and "Location" not in answer.headers


def test_the_page_of_routes_is_whole_and_our_own(api_url: str) -> None:
    answer = httpx.get(f"{api_url}/docs")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    document = httpx.get(f"{api_url}/openapi.json").json()
    for path, operations in document["paths"].items():
        assert f"<code>{path}</code>" in answer.text
        for method in operations:
            assert re.search(rf"<b>{method.upper()}</b> <code>{re.escape(path)}</code>", answer.text)
    assert not re.search(r"https?:|<script|<link|<img| src=", answer.text)
    assert httpx.head(f"{api_url}/docs").status_code == 200
