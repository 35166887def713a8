"""Every route with every role and every state of a token, by the one table that says who may what."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import Engine, text

from actinium.job import Role
from db import tokens
from services.api.access import ACCESS, ANYBODY, CHANGE

DAY = timedelta(days=1)
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
            over = tokens.create(connection, name="over", role=role, now=now - DAY, expires_at=now)
            said[f"expired {role.value}"] = f"Bearer {over}"
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
    """Whoever may only look changes nothing, admins alone see tokens and audit, and owners change what is theirs."""
    for (method, path), rule in ACCESS.items():
        assert (rule.role is None) == (not path.startswith("/v1/")), (method, path)
        if rule.role is not None:
            assert method == "GET" or rule.role.includes(Role.SUBMITTER), (method, path)
            assert (rule.role is Role.ADMIN) == path.startswith(("/v1/tokens", "/v1/audit")), (method, path)
            assert (rule == CHANGE) == (method != "GET" and ("{study}" in path or "{name}" in path)), (method, path)


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
    assert not any("BREW" in line or "/nothing" in line for line in lines)


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
    told = httpx.get(f"{api_url}/v1/studies", headers=held).json()["detail"]
    assert told == "the token 'ci' was revoked; ask an admin for another one"
    assert admin.delete("/v1/tokens/999999").status_code == 404
    assert admin.delete("/v1/tokens/x").status_code == 404


def test_a_token_expires(admin: httpx.Client, api_url: str, engine: Engine, subtests: pytest.Subtests) -> None:
    """After days or at a moment; then it is 401, and why is said. It is listed with its end."""
    now = datetime.now(UTC)
    made = admin.post("/v1/tokens", json={"name": "ci", "role": "viewer", "expires_in_days": 30}).json()
    assert abs(datetime.fromisoformat(made["expires_at"]) - now - 30 * DAY) < timedelta(minutes=5)
    assert admin.post("/v1/tokens", json={"name": "ci", "role": "viewer"}).json()["namesakes"] == 1
    moment = (now + DAY).isoformat()
    assert admin.post("/v1/tokens", json={"name": "b", "role": "viewer", "expires_at": moment}).status_code == 201
    listed = {item["name"]: item["expires_at"] for item in admin.get("/v1/tokens").json()["items"]}
    assert listed["ada"] is None and datetime.fromisoformat(listed["b"]) == now + DAY
    held = {"Authorization": f"Bearer {made['token']}"}
    assert httpx.get(f"{api_url}/v1/studies", headers=held).status_code == 200
    with engine.begin() as connection:
        connection.execute(text("UPDATE tokens SET expires_at = now()"))
    assert httpx.get(f"{api_url}/v1/studies", headers=held).json()["detail"].startswith("the token 'ci' expired on 20")
    assert admin.get("/v1/tokens").status_code == 401


def test_expiries_that_cannot_be_meant(admin: httpx.Client, subtests: pytest.Subtests) -> None:
    """422 that names the field; nothing is made."""
    refused = (
        ("expires_in_days", [0, -1, 1e9, True, "30", [30]]),
        ("expires_at", ["2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"]),
        ("expires_at", ["0001-01-01T00:00:00+14:00", "2027-01-31", "2027-01-31T00:00:00", "soon", "", 1893456000]),
    )
    for field, values in refused:
        for value in values:
            with subtests.test(field=field, value=value):
                answer = admin.post("/v1/tokens", json={"name": "x", "role": "viewer", field: value})
                assert answer.status_code == 422, answer.text
                assert [error["path"] for error in answer.json()["errors"]] == [field]
    both = {"name": "x", "role": "viewer", "expires_in_days": 1, "expires_at": (datetime.now(UTC) + DAY).isoformat()}
    assert admin.post("/v1/tokens", json=both).status_code == 422
    assert {item["name"] for item in admin.get("/v1/tokens").json()["items"]} == {"ada", "ann", "sam"}


def test_a_stream_ends_with_its_token(submitter: httpx.Client, viewer: httpx.Client, engine: Engine) -> None:
    """It is open for as long as a study lasts, and no longer than who reads it may."""
    submitter.post("/v1/studies", json={"name": "s"})
    with viewer.stream("GET", "/v1/studies/s/events", timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: progress"
        with engine.begin() as connection:
            connection.execute(text("UPDATE tokens SET revoked_at = now() WHERE name = 'ann'"))
        assert not [line for line in lines if line.startswith("event: ")]
    assert viewer.get("/v1/studies/s/events").status_code == 401


def test_the_last_admin_stays(admin: httpx.Client) -> None:
    """409, with the way out; after another was made, it goes."""
    mine = next(item["id"] for item in admin.get("/v1/tokens").json()["items"] if item["role"] == "admin")
    answer = admin.delete(f"/v1/tokens/{mine}")
    assert (answer.status_code, "make one first" in answer.json()["detail"]) == (409, True)
    admin.post("/v1/tokens", json={"name": "next", "role": "admin"})
    assert admin.delete(f"/v1/tokens/{mine}").status_code == 204
    assert admin.get("/v1/tokens").status_code == 401


def test_the_openapi_document_names_bodies_and_problems(api_url: str) -> None:
    """Each /v1 operation has its security, and the study its schema."""
    document = httpx.get(f"{api_url}/openapi.json").json()
    submit = document["paths"]["/v1/studies"]["post"]
    assert "factors" in submit["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "application/problem+json" in submit["responses"]["422"]["content"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert bool(operation.get("security")) == path.startswith("/v1/"), path
