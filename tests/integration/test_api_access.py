"""Every route with every role, by the one table that says who may what."""

import httpx

from actinium.job import Role
from services.api.access import ACCESS

PLACES = {"{study}": "1", "{trial}": "1", "{token_id}": "999999"}


def place(path: str) -> str:
    """The path of a thing that may or may not be there."""
    for name, value in PLACES.items():
        path = path.replace(name, value)
    return path


def test_each_route_asks_for_its_role(api_url: str, secrets: dict[Role, str]) -> None:
    """401 without a known token, 403 with too weak a role, neither with one that is enough."""
    wrong = (None, "Bearer", "Bearer act_wrong", f"Basic {secrets[Role.ADMIN]}", "Bearer \xff", secrets[Role.ADMIN])
    with httpx.Client(base_url=api_url) as http:
        for method, path in ACCESS:
            for credentials in wrong:
                headers = {} if credentials is None else {"Authorization": credentials.encode("latin-1")}
                answer = http.request(method, place(path), headers=headers)
                assert answer.status_code == 401, (method, path, credentials)
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert answer.headers["Content-Type"] == "application/problem+json"
            for role, secret in secrets.items():
                answer = http.request(method, place(path), headers={"Authorization": f"Bearer {secret}"})
                allowed = role.includes(ACCESS[method, path])
                assert (answer.status_code == 403) == (not allowed), (method, path, role, answer.text)
                assert answer.status_code not in (401, 500)


def test_the_table_keeps_the_roles_apart() -> None:
    """Whoever may only look changes nothing, and only admins see tokens."""
    for (method, path), role in ACCESS.items():
        assert method == "GET" or role.includes(Role.SUBMITTER), (method, path)
        assert (role is Role.ADMIN) == path.startswith("/v1/tokens"), (method, path)


def test_the_rest_needs_no_token(api_url: str) -> None:
    """Health, metrics and documents."""
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert httpx.get(api_url + path).status_code == 200, path


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
