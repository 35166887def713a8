"""The outermost middleware, as plain ASGI: request ids, the request log, request counts, and the last `except`."""

import asyncio
import hashlib
import logging
import re
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actinium import hosts
from actinium.errors import TooMany, Unavailable
from services.api.gates import ANSWER, END, Gates, Work
from services.api.problem import on_fault, on_own_error, problem
from services.api.throttle import sender

log = logging.getLogger("actinium.requests")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEALTH = "/healthz"
PATIENCE_SECONDS = 30.0
SLOWEST = 50_000
"""Bytes a second at which an answer must be taken, at least."""


class Edge:
    """Gives each request an id (the caller's `X-Request-ID` if it is plain), bounds, counts and logs it.

    Neither headers nor query strings are logged: they may hold secrets.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry, gates: Gates, allowed_hosts: str | None) -> None:
        self.app = app
        self.gates = gates
        self.allowed_hosts = allowed_hosts
        self.requests = Counter(
            "actinium_requests_total", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "actinium_request_seconds", "Time to the end of the answer", ["route"], registry=registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["request_id"] = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        status, pace, began = 0, Pace(), time.perf_counter()

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = scope["request_id"]
                self.gates.leave(scope, until=ANSWER)
            await pace.sent(send, message)

        host = Headers(scope=scope).get("host")
        try:
            if not hosts.is_known(host, self.allowed_hosts):
                await problem(Request(scope), 421, hosts.refusal(host))(scope, receive, send_on)
                return
            if scope["path"] != HEALTH:
                await self.gates.enter(scope, Work.REQUEST, _sender(scope))
            await self.app(scope, receive, send_on)
        except TooSlow:  # nothing more can be said to whoever does not listen; the server closes the connection
            log.info("id=%s takes its answer too slowly, and is hung up on", scope["request_id"])
        except (TooMany, Unavailable) as error:
            await on_own_error(Request(scope), error)(scope, receive, send_on)
        except Exception as error:  # the rim: whatever was not foreseen becomes a 500 and a traceback in the log
            response = on_fault(Request(scope), error)
            if status:
                raise
            await response(scope, receive, send_on)
        finally:
            self.gates.leave(scope, until=ANSWER)
            self.gates.leave(scope, until=END)
            self._account(scope, status, seconds=time.perf_counter() - began)

    def _account(self, scope: Scope, status: int, *, seconds: float) -> None:
        """Counts and logs a request that has ended."""
        method, route = method_label(scope["method"]), getattr(scope.get("route"), "path", "unknown")
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)
        who = getattr(scope.get("principal"), "name", "-")
        log.info("%s %s %d %.1fms id=%s by=%s", method, route, status, seconds * 1000, scope["request_id"], who)


class TooSlow(Exception):
    """A client does not take its answer."""


class Pace:
    """Sends an answer to a client that must take it at SLOWEST bytes a second, after PATIENCE_SECONDS of grace. What is
    held for an answer, memory and gates, is so held for a bounded time.
    """

    def __init__(self) -> None:
        self._bytes, self._waited = 0, 0.0

    async def sent(self, send: Send, message: Message) -> None:
        """Sends a message. TooSlow where the client has been waited for too long."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS + self._bytes / SLOWEST - self._waited):
                await send(message)
        except TimeoutError as error:
            raise TooSlow from error
        self._waited += time.perf_counter() - began
        self._bytes += len(message.get("body", b""))


def _sender(scope: Scope) -> str:
    """Whom a request counts for before its token is looked up: the token itself, or the address."""
    token = Headers(scope=scope).get("authorization", "")
    client = scope.get("client")
    return hashlib.sha256(token.encode()).hexdigest() if token else sender(client[0] if client else None)


def method_label(method: str) -> str:
    """The method if it is a usual one, so that strangers cannot make new series or log lines."""
    return method if method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"} else "OTHER"
