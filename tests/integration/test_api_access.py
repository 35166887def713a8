"""Every route with every role and every state of a token, by the one table that says who may what."""

import re
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import Engine

from actinium.job import Role
from db import tokens
from services.api.access import ACCESS, ANYBODY, CHANGE

PLACES = {"{study}": "1", "{trial}": "1", "{token_id}": "999999", "{name}": "first_filters"}


def place(path: str) -> str:
    """The path of a thing that may or may not be there."""
    for name, value in PLACES.items():
        path = path.replace(name, value)
    return path


@pytest.fixture
def opens_nothing(engine: Engine, secrets: dict[Role, str]) -> dict[str, str | None]:
    """What a request may say of itself that is no right token: each state of it, and each role where it has one."""
    right = secrets[Role.ADMIN]
    said: dict[str, str | None] = {
        "none": None,
        "empty": "Bearer",
        "another scheme": f"Basic {right}",
        "no scheme": right,
        "no letters": "Bearer \xff",
        "two": f"Bearer {right} {right}",
        "cut": f"Bearer {right[:-1]}",
        "longer": f"Bearer {right}x",
        "wrong": "Bearer act_wrong",
    }
    now = datetime.now(UTC)
    with engine.begin() as connection:
        for role in Role:
            secret = tokens.create(connection, name="gone", role=role, now=now)
            tokens.revoke(connection, tokens.authenticate(connection, secret, now).id, now)
            said[f"revoked {role.value}"] = f"Bearer {secret}"
    return said


def test_without_a_right_token_nothing_but_what_is_for_anybody(
    api_url: str, opens_nothing: dict[str, str | None], subtests: pytest.Subtests
) -> None:
    """401 in the one shape, whatever the path and body; and what is for anybody does not look at the token."""
    with httpx.Client(base_url=api_url) as http:
        for (method, path), rule in ACCESS.items():
            with subtests.test(method=method, path=path):
                for state, credentials in opens_nothing.items():
                    headers = {} if credentials is None else {"Authorization": credentials.encode("latin-1")}
                    answer = http.request(method, place(path), headers=headers)
                    if rule == ANYBODY:
                        assert answer.status_code == 200, state
                        continue
                    assert answer.status_code == 401, (state, answer.text)
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                    assert answer.headers["Content-Type"] == "application/problem+json"


def test_each_route_asks_for_its_role(
    api_url: str, secrets: dict[Role, str], viewer: httpx.Client, subtests: pytest.Subtests
) -> None:
    """403 with too weak a role, and neither that nor 401 with one that is enough."""
    with httpx.Client(base_url=api_url) as http:
        for (method, path), rule in ACCESS.items():
            with subtests.test(method=method, path=path):
                for role, secret in secrets.items():
                    answer = http.request(method, place(path), headers={"Authorization": f"Bearer {secret}"})
                    allowed = rule.role is None or role.includes(rule.role)
                    assert (answer.status_code == 403) == (not allowed), (role, answer.text)
                    assert answer.status_code < 500 and answer.status_code != 401


def test_the_table_keeps_the_roles_apart() -> None:
    """Whoever may only look changes nothing, only admins see tokens, and what is somebody's is changed by its owner."""
    for (method, path), rule in ACCESS.items():
        assert (rule.role is None) == (not path.startswith("/v1/")), (method, path)
        if rule.role is not None:
            assert method == "GET" or rule.role.includes(Role.SUBMITTER), (method, path)
            assert (rule.role is Role.ADMIN) == path.startswith("/v1/tokens"), (method, path)
            assert (rule == CHANGE) == (method != "GET" and "{study}" in path), (method, path)


def test_what_is_for_anybody_tells_of_nobody(submitter: httpx.Client, api_url: str) -> None:
    """Numbers and routes; no name of a study, of a project or of an owner."""
    submitter.post("/v1/studies", json={"name": "quince", "project": "medlar"})
    submitter.get("/v1/studies/quince")
    for (method, path), rule in ACCESS.items():
        if rule == ANYBODY:
            told = httpx.request(method, api_url + path).text
            assert not re.search(r"\b(quince|medlar|sam)\b", told), path


def test_metrics_count_requests_and_jobs(submitter: httpx.Client) -> None:
    """Prometheus text; strange methods and unknown paths make no new series."""
    submitter.post("/v1/studies", json={"name": "a", "seeds": 3})
    submitter.request("BREW", "/v1/studies")
    submitter.get("/nothing/here")
    lines = submitter.get("/metrics").text.splitlines()
    assert 'actinium_jobs{state="queued"} 3.0' in lines
    assert "actinium_queue_depth 3.0" in lines
    assert "actinium_database_up 1.0" in lines
    assert 'actinium_requests_total{method="POST",route="/v1/studies",status="201"} 1.0' in lines
    assert not any("BREW" in line or "nothing" in line for line in lines)


def test_tokens_are_made_listed_and_revoked(admin: httpx.Client, api_url: str) -> None:
    """The secret is in one answer only; a revoked token opens nothing."""
    made = admin.post("/v1/tokens", json={"name": "ci", "role": "submitter"})
    assert made.status_code == 201
    secret = made.json()["token"]
    held = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{api_url}/v1/studies", headers=held).status_code == 200
    listed = admin.get("/v1/tokens")
    assert secret not in listed.text
    assert {"ann", "sam", "ada", "ci"} == {item["name"] for item in listed.json()["items"]}
    assert admin.delete(f"/v1/tokens/{made.json()['id']}").status_code == 204
    assert httpx.get(f"{api_url}/v1/studies", headers=held).status_code == 401
    assert admin.delete("/v1/tokens/999999").status_code == 404
    assert admin.delete("/v1/tokens/x").status_code == 404


def test_the_openapi_document_names_bodies_and_problems(api_url: str) -> None:
    """Each /v1 operation has its security, and the study its schema."""
    document = httpx.get(f"{api_url}/openapi.json").json()
    submit = document["paths"]["/v1/studies"]["post"]
    assert "factors" in submit["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "application/problem+json" in submit["responses"]["422"]["content"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert bool(operation.get("security")) == path.startswith("/v1/"), path
