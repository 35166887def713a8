"""What bad input gets: the right status, one problem shape with path and mend, and nothing is written."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

STUDY: dict[str, Any] = {"name": "s", "seeds": 2, "factors": {"activation": ["relu", "tanh"]}}
Counts = Callable[[], dict[str, int]]


def refused(answer: httpx.Response, status: int, path: str | None = None, words: str = "") -> dict[str, Any]:
    """The problem, after a look at its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "instance", "errors", "request_id"} <= set(problem)
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["X-Request-ID"]
    assert problem["detail"]
    if path is not None:
        found = {error["path"]: error["message"] for error in problem["errors"]}
        assert path in found
        assert words in found[path]
    return problem


CONTENT: list[tuple[dict[str, Any], str, str]] = [
    ({"foo": 1}, "foo", "unknown field"),
    ({"factors": {"activation": ["rely"]}}, "factors.activation", "did you mean relu"),
    ({"task": {"dataset": "digit"}}, "task.dataset", "did you mean digits"),
    ({"training": {"learning_rate": -1}}, "training.learning_rate", "-1 is not accepted: should be greater than 0"),
    ({"factors": {"activation": []}}, "factors.activation", "give at least one level"),
    ({"seeds": 400}, "factors", "800 trials; at most 500 are accepted"),
    ({"factors": {"normalization": ["instance"]}}, "factors", "keep at least one"),
    ({"description": "a\0b"}, "description", "null byte"),
    ({"tags": {"k": "\ud800"}}, "tags.k", "surrogate"),
    ({"reference": {"activation": "elu"}}, "reference", "matches no cell"),
]


def test_content(submitter: httpx.Client, row_counts: Counts, subtests: pytest.Subtests) -> None:
    """422 with the path, the value and the mend."""
    before = row_counts()
    for changes, path, words in CONTENT:
        with subtests.test(path=path):
            body = json.dumps({**STUDY, **changes})  # httpx's own encoder refuses half a surrogate pair
            refused(submitter.post("/v1/studies", content=body), 422, path, words)
    assert row_counts() == before


BODIES: list[tuple[bytes, str, int, str]] = [
    (b"name: s\nseeds: 2", "application/json", 422, "Expecting value"),
    (b"", "application/json", 422, "Expecting value"),
    (b"\xff\xfe", "application/json", 422, "utf-8"),
    (b'{"name": "s", "priority": NaN}', "application/json", 422, "NaN is not JSON"),
    (b'{"name": "s", "priority": -Infinity}', "application/json", 422, "-Infinity is not JSON"),
    (b'{"name": "s", "exclude": [{"training.momentum": 1e999}]}', "application/json", 422, "finite"),
    (b'{"name": "s", "name": "t"}', "application/json", 422, "stands twice"),
    (b"[" * 15_000, "application/json", 422, "nested deeper"),
    (b'{"a":' * 60 + b"1" + b"}" * 60, "application/json", 422, "nested deeper"),
    (b'{"name": "s", "priority": ' + b"9" * 5000 + b"}", "application/json", 422, "digits"),
    (b"[]", "application/json", 422, "got list"),
    (b"null", "application/json", 422, "got NoneType"),
    (b"name: s", "application/yaml", 415, ""),
    (b"name=s", "application/x-www-form-urlencoded", 415, ""),
]


def test_bodies(submitter: httpx.Client, row_counts: Counts, subtests: pytest.Subtests) -> None:
    """What is not JSON, or JSON that cannot be meant."""
    before = row_counts()
    for body, media, status, words in BODIES:
        with subtests.test(body=body[:20], media=media):
            answer = submitter.post("/v1/studies", content=body, headers={"Content-Type": media})
            problem = refused(answer, status)
            assert words in json.dumps(problem["errors"]) + problem["detail"]
    assert row_counts() == before


def test_a_body_that_is_too_large(submitter: httpx.Client, row_counts: Counts) -> None:
    """413, with a length that is declared and with chunks that never end; a false length is no way around."""
    before = row_counts()
    large = json.dumps({**STUDY, "description": "x" * 30_000}).encode()
    refused(submitter.post("/v1/studies", content=large), 413)

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b" " * 1000

    with suppress(httpx.WriteError):  # the service may have answered and closed before all was sent
        refused(submitter.post("/v1/studies", content=endless()), 413)
    assert row_counts() == before


def test_refused_before_the_end_of_the_body(submitter: httpx.Client, api_url: str) -> None:
    """A declared length over the limit is refused without waiting for the content."""
    parts = urlsplit(api_url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=20) as raw:
        head = (
            f"POST /v1/studies HTTP/1.1\r\nHost: x\r\nAuthorization: {submitter.headers['Authorization']}\r\n"
            "Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
        )
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_routes_that_are_not_there(submitter: httpx.Client) -> None:
    """404 and 405 in the same shape, later routes included; nothing is a stub."""
    submitter.post("/v1/studies", json=STUDY)
    for method, path in (
        ("GET", "/v1/nothing"),
        ("GET", "/v1/claims"),
        ("GET", "/v1/datasets/digits/rows"),
        ("GET", "/"),
    ):
        assert "no route" in refused(submitter.request(method, path), 404)["detail"]
    for method, path, allowed in (
        ("PUT", "/v1/studies/s", "DELETE, GET, PATCH"),  # of all routes at the path
        ("GET", "/v1/datasets/digits", "DELETE"),
    ):
        wrong = submitter.request(method, path)
        refused(wrong, 405)
        assert wrong.headers["Allow"] == allowed


MISSING = [
    "/v1/studies/nothing",
    "/v1/studies/9223372036854775808",
    "/v1/studies/99999999999999999999999999",
    "/v1/studies/%00",
    "/v1/studies/%C2%B2",
    "/v1/studies/" + "x" * 5000,
    "/v1/studies/1/trials",
    "/v1/studies/1/report",
    "/v1/studies/1/curves?series=validation_loss",
    "/v1/studies/1/export",
    "/v1/studies/1/events",
    "/v1/trials/1",
    "/v1/trials/x",
    "/v1/trials/-1",
    "/v1/trials/9223372036854775808/frames",
]


def test_things_that_are_not_there(viewer: httpx.Client, subtests: pytest.Subtests) -> None:
    """404 that names what was looked for."""
    for path in MISSING:
        with subtests.test(path=path[:60]):
            assert refused(viewer.get(path), 404)["detail"].startswith("there is no")


PARAMETERS: list[tuple[str, str | None]] = [
    ("limit=0", "query.limit"),
    ("limit=100000", "query.limit"),
    ("limit=x", "query.limit"),
    ("state=done", "query.state"),
    ("sate=running", "query.sate"),
    ("limit=1&&=1", "query."),
    ("q=%00", "query.q"),
    ("cursor=x", "cursor"),
    ("cursor=%00", "cursor"),
    ("cursor=99999999999999999999", "cursor"),
]


def test_parameters(viewer: httpx.Client, subtests: pytest.Subtests) -> None:
    """422 that names the parameter."""
    for query, path in PARAMETERS:
        with subtests.test(query=query):
            refused(viewer.get(f"/v1/studies?{query}"), 422, path)


def test_a_misspelt_parameter_does_nothing(submitter: httpx.Client, row_counts: Counts) -> None:
    """`dry-run` in place of `dry_run` would submit, were it ignored."""
    before = row_counts()
    refused(submitter.post("/v1/studies?dry-run=true", json=STUDY), 422, "query.dry-run", "did you mean dry_run")
    refused(submitter.post("/v1/studies/1/cancel?force=1"), 422, "query.force", "takes none")
    assert row_counts() == before


def test_a_series_and_a_format_that_are_not_there(submitter: httpx.Client, train: Any) -> None:
    """The nearest series is named; before the first frame any name is as good as another."""
    submitter.post("/v1/studies", json=STUDY)
    assert submitter.get("/v1/studies/s/curves?series=anything").json() == {"series": "anything", "curves": []}
    train()
    refused(submitter.get("/v1/studies/s/curves?series=validation_los"), 422, "query.series", "validation_loss")
    refused(submitter.get("/v1/studies/s/curves"), 422, "query.series")
    refused(submitter.get("/v1/studies/s/export?format=xlsx"), 422, "query.format")


def test_tokens(admin: httpx.Client, row_counts: Counts) -> None:
    """Bad names and roles."""
    before = row_counts()
    refused(admin.post("/v1/tokens", json={"name": "x", "role": "king"}), 422, "role")
    refused(admin.post("/v1/tokens", json={"name": "", "role": "admin"}), 422, "name")
    refused(admin.post("/v1/tokens", json={"name": "a\nb", "role": "admin"}), 422, "name")
    refused(admin.post("/v1/tokens", json={"name": "a", "role": "admin", "token": "mine"}), 422, "token")
    assert row_counts() == before


def test_request_ids(viewer: httpx.Client) -> None:
    """A plain id is kept, anything else is replaced."""
    assert viewer.get("/v1/studies", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    assert viewer.get("/v1/studies", headers={"X-Request-ID": "a b\tc"}).headers["X-Request-ID"].isalnum()


def test_pages_have_an_end(admin: httpx.Client, subtests: pytest.Subtests) -> None:
    """Wherever the document has a `limit`: none, less than none and a thousand million are 422, the most is not."""
    admin.post("/v1/studies", json=STUDY)
    paths = admin.get("/openapi.json").json()["paths"]
    paged = {
        path: parameter["schema"]["maximum"]
        for path, operations in paths.items()
        for parameter in operations.get("get", {}).get("parameters", ())
        if parameter["name"] == "limit"
    }
    assert set(paged) >= {"/v1/studies", "/v1/studies/{study}/trials", "/v1/pack-widths", "/v1/audit"}
    for path, most in paged.items():
        for limit in (0, -1, most + 1, 10**9, 2**63, "1.5", ""):
            with subtests.test(path=path, limit=limit):
                refused(admin.get(path.format(study=1), params={"limit": limit}), 422, "query.limit")
        assert admin.get(path.format(study=1), params={"limit": most}).status_code == 200
