"""A request's JSON body: bounded while it is read, strict, and safe to store."""

import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any, NoReturn

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from actinium.errors import FieldError, InvalidInput, TooLarge, Unavailable
from services.api.gates import at_work
from services.api.problem import BodyMissing, UnsupportedMediaType
from services.settings import Settings


async def json_body(request: Request) -> Any:
    """The parsed body. TooLarge, UnsupportedMediaType or InvalidInput say what is wrong with it."""
    settings: Settings = request.app.state.settings
    media = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMediaType(f"the body is {media[:80]!r}; send JSON with Content-Type: application/json")
    content = await read(request, limit=settings.max_body_bytes, seconds=settings.body_seconds)
    await at_work(request)
    # In a thread: whatever a body costs to parse, the event loop answers others meanwhile.
    return await run_in_threadpool(parse, content, max_nesting=settings.max_nesting)


async def read(request: Request, *, limit: int, seconds: float) -> bytes:
    """The body, as `arriving` gives it."""
    return b"".join([chunk async for chunk in arriving(request, limit=limit, seconds=seconds)])


async def spooled(request: Request, *, limit: int, seconds: float) -> IO[bytes]:
    """The body in a file without a name, at its beginning: large bodies wait on the disk, not in memory. Disk space
    that runs out is Unavailable. The caller closes it.
    """
    file = await run_in_threadpool(tempfile.TemporaryFile)
    try:
        async for chunk in arriving(request, limit=limit, seconds=seconds):
            await run_in_threadpool(file.write, chunk)
        await run_in_threadpool(file.seek, 0)
    except OSError as error:
        file.close()
        raise Unavailable(f"the file cannot be kept here ({error.strerror}); try again later") from error
    except BaseException:
        file.close()
        raise
    return file


async def arriving(request: Request, *, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The body, chunk by chunk; TooLarge as soon as it is known to exceed `limit` bytes, whatever Content-Length says;
    BodyMissing where it has not come whole after `seconds`, or never will.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMediaType(
            f"the body is encoded as {coding[:80]!r}; send it as it is, without Content-Encoding"
        )
    refusal = TooLarge(f"the body is larger than the {limit} bytes that are accepted; make the study smaller")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise refusal
    size, until = 0, asyncio.get_running_loop().time() + seconds
    stream = aiter(request.stream())
    try:
        while True:
            async with asyncio.timeout_at(until):
                chunk = await anext(stream, None)
            if chunk is None:
                return
            size += len(chunk)
            if size > limit:
                raise refusal
            yield chunk
    except TimeoutError as error:
        raise BodyMissing(f"the body had not come whole after {seconds:g} s; send it faster, or less") from error
    except ClientDisconnect as error:
        raise BodyMissing(f"the connection ended after {size} bytes of the body") from error


def parse(body: bytes, *, max_nesting: int) -> Any:
    """Strict JSON: UTF-8, no NaN or infinity, no key twice, no null byte, bounded nesting."""
    try:
        document = json.loads(
            body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_distinct
        )
    except RecursionError as error:
        raise _too_deep(max_nesting) from error
    except ValueError as error:  # a JSONDecodeError, bad UTF-8, an integer of thousands of digits, or one of ours
        raise InvalidInput("the body is not JSON that is accepted", [FieldError("", str(error)[:300])]) from error
    faults = list(_faults(document, max_nesting))
    if faults:
        raise InvalidInput("the body is not JSON that is accepted", faults)
    return document


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON; give a finite number or null")


def _finite(word: str) -> float:
    number = float(word)
    if math.isinf(number):
        raise ValueError(f"{word[:40]} is too large for a number; give a finite one")
    return number


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"the key {key[:80]!r} stands twice in one object; name it once")
        document[key] = value
    return document


def _too_deep(max_nesting: int) -> InvalidInput:
    fault = FieldError("", f"nested deeper than the {max_nesting} levels that are accepted")
    return InvalidInput("the body is not JSON that is accepted", [fault])


def _faults(document: Any, max_nesting: int) -> Iterator[FieldError]:
    """Faults of a parsed body: strings that no text column can hold, and nesting that is too deep. Not recursive."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), document)]
    while waiting:
        path, node = waiting.pop()
        if len(path) > max_nesting:
            raise _too_deep(max_nesting)
        if isinstance(node, str):
            if not _storable(node):
                yield FieldError(".".join(path)[:300], "holds a null byte or half a surrogate pair; remove it")
        elif isinstance(node, dict):
            for key in node:
                if not _storable(key):
                    yield FieldError(
                        ".".join(path)[:300], "a key holds a null byte or half a surrogate pair; remove it"
                    )
            waiting += [((*path, key), value) for key, value in node.items()]
        elif isinstance(node, list):
            waiting += [((*path, str(number)), value) for number, value in enumerate(node)]


def _storable(word: str) -> bool:
    return "\x00" not in word and not any("\ud800" <= letter <= "\udfff" for letter in word)
