"""Bodies as they arrive: bounded in size and time, large ones on the disk."""

import asyncio
import tracemalloc
from typing import IO, Any

import pytest
from starlette.requests import Request

from actinium.errors import TooLarge
from services.api.body import read, spooled
from services.api.problem import BodyMissing

MEGABYTE = 2**20


def request_of(chunks: int, *, pause: float = 0.0) -> Request:
    """A request whose body is so many megabytes."""
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        await asyncio.sleep(pause)
        sent += 1
        return {"type": "http.request", "body": bytes([sent % 256]) * MEGABYTE, "more_body": sent < chunks}

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


def test_a_large_body_is_on_the_disk_and_not_in_memory() -> None:
    async def test() -> IO[bytes]:
        return await spooled(request_of(60), limit=100 * MEGABYTE, seconds=60.0)

    tracemalloc.start()
    try:
        file = asyncio.run(test())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with file:
        content = file.read()
    assert len(content) == 60 * MEGABYTE and content[0] == 1 and content[-1] == 60
    assert peak < 10 * MEGABYTE


@pytest.mark.parametrize("reading", [read, spooled])
def test_a_body_that_is_too_large_or_too_slow_is_refused_while_it_arrives(reading: Any) -> None:
    with pytest.raises(TooLarge):
        asyncio.run(reading(request_of(60), limit=3 * MEGABYTE, seconds=60.0))
    with pytest.raises(BodyMissing, match=r"had not come whole after 0\.05 s"):
        asyncio.run(reading(request_of(60, pause=0.02), limit=100 * MEGABYTE, seconds=0.05))
