"""Connections that lie, stall or flood: each is answered or hung up on, none is taken for a fault of the service."""

import logging
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from served import served
from sqlalchemy import Engine

from actinium.job import Role
from services.api.app import create_app
from services.api.http_protocol import BoundedHeads
from services.settings import Settings


class Hasty(BoundedHeads):
    """Waits a moment only."""

    head_seconds = 0.2


@pytest.fixture
def api_url(database_url: str, engine: Engine) -> Iterator[str]:
    """An API that waits a moment only."""
    settings = Settings(database_url=database_url, body_seconds=0.2, dataset_seconds=0.2, max_body_bytes=20_000)
    with served(create_app(settings, engine=engine), http=Hasty, timeout_keep_alive=1) as url:
        yield url


def connected(url: str) -> socket.socket:
    """A bare connection."""
    parts = urlsplit(url)
    return socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=60)


@pytest.fixture
def raw(api_url: str) -> Iterator[socket.socket]:
    """A bare connection to the hasty API."""
    with connected(api_url) as connection:
        yield connection


def head(secrets: dict[Role, str], *lines: str, path: str = "/v1/studies", method: str = "POST") -> bytes:
    """The head of a submitter's request."""
    usual = ("Host: x", f"Authorization: Bearer {secrets[Role.SUBMITTER]}", "Content-Type: application/json")
    return "\r\n".join([f"{method} {path} HTTP/1.1", *usual, *lines, "", ""]).encode()


def answer(raw: socket.socket) -> bytes:
    """All that comes until the other side closes; a reset is an end too."""
    pieces = []
    try:
        while piece := raw.recv(65_536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def test_a_chunked_body_without_an_end_is_408(raw: socket.socket, secrets: dict[Role, str]) -> None:
    """A problem, and the connection is closed."""
    raw.sendall(head(secrets, "Transfer-Encoding: chunked") + b'9\r\n{"name": \r\n')
    said = answer(raw)
    assert said.startswith(b"HTTP/1.1 408") and b"had not come whole after 0.2 s" in said
    assert b"connection: close" in said.lower() and b"application/problem+json" in said


def test_a_body_shorter_than_declared_is_408(raw: socket.socket, secrets: dict[Role, str]) -> None:
    """Of datasets too."""
    octets = head(secrets, "Content-Length: 1000", path="/v1/datasets?name=x").replace(b"json", b"octet-stream")
    raw.sendall(octets + b"PK")
    assert answer(raw).startswith(b"HTTP/1.1 408")


def test_who_hangs_up_is_no_fault(
    database_url: str, engine: Engine, secrets: dict[Role, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Half a body and a closed connection is counted as 408, not as a failure with a traceback."""
    patient = create_app(Settings(database_url=database_url), engine=engine)
    with caplog.at_level(logging.INFO), served(patient) as url:
        with connected(url) as raw:
            raw.sendall(head(secrets, "Content-Length: 1000") + b'{"name"')
        counted = ""
        while 'route="/v1/studies"' not in counted:
            counted = httpx.get(f"{url}/metrics").text
    assert re.search(r'requests_total\{method="POST",route="/v1/studies",status="408"\} 1', counted)
    assert 'status="500"' not in counted
    assert not [record for record in caplog.records if record.exc_info]


def test_a_body_longer_than_declared_is_no_second_request(raw: socket.socket, secrets: dict[Role, str]) -> None:
    """What comes after the declared length is no request that anybody made."""
    raw.sendall(head(secrets, "Content-Length: 2") + b"{}DELETE everything\r\n\r\n")
    said = answer(raw)
    assert said.startswith(b"HTTP/1.1 422") and said.count(b"HTTP/1.1") <= 2
    assert b"HTTP/1.1 2" not in said


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: -1",),
        ("Content-Length: 1e3",),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: " + "9" * 30,),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("X: \0",),
        (": x",),
        ("X y: z",),
        ("X: " + "x" * 100_000,),
        tuple(f"X{n}: y" for n in range(20_000)),
        ("Host: y",),
    ],
    ids=lambda lines: lines[0][:40].replace("\0", "null"),
)
def test_heads_that_lie_or_flood(lines: tuple[str, ...], raw: socket.socket, secrets: dict[Role, str]) -> None:
    """4xx, or the connection ends; never a study, never a fault."""
    try:
        raw.sendall(head(secrets, *lines) + b"{}")
    except (BrokenPipeError, ConnectionResetError):
        return
    said = answer(raw)
    assert said == b"" or re.match(rb"HTTP/1.1 4\d\d ", said), said[:200]


@pytest.mark.parametrize(
    "line", [b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n", b"\x16\x03\x01\x02\0", b"GET /\r\n", b"\0" * 99]
)
def test_what_is_no_request(line: bytes, raw: socket.socket) -> None:
    """400 or the end."""
    try:
        raw.sendall(line + b"\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return
    said = answer(raw)
    assert said == b"" or said.startswith(b"HTTP/1.1 400"), said[:200]


def test_a_head_without_an_end_is_hung_up_on(raw: socket.socket, api_url: str) -> None:
    """At the first request, where nothing was sent, and after an answer."""
    raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert answer(raw) == b""
    for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET"):
        with connected(api_url) as again:
            again.sendall(begun)
            assert answer(again).count(b"HTTP/1.1") == bool(begun)


def test_a_connection_is_kept_for_those_who_use_it(viewer: httpx.Client) -> None:
    """Many requests, one after the other and larger than the moment allowed for a head."""
    for _ in range(20):
        assert viewer.get("/v1/studies").status_code == 200
