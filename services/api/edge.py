"""The outermost middleware, as plain ASGI: request ids, the request log, request counts, and the last `except`."""

import logging
import re
import time
import uuid

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.problem import on_fault

log = logging.getLogger("actinium.requests")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Edge:
    """Gives each request an id (the caller's `X-Request-ID` if it is plain), counts and logs it.

    Neither headers nor query strings are logged: they may hold secrets.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry) -> None:
        self.app = app
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
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["request_id"] = request_id
        status = 0
        began = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:  # the rim: whatever was not foreseen becomes a 500 and a traceback in the log
            response = on_fault(Request(scope), error)
            if status:
                raise
            await response(scope, receive, send_with_id)
        finally:
            took = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "unknown")
            self.requests.labels(method_label(scope["method"]), route, str(status)).inc()
            self.seconds.labels(route).observe(took)
            who = scope.get("principal")
            log.info(
                "%s %s %d %.1fms id=%s by=%s",
                method_label(scope["method"]),
                route,
                status,
                took * 1000,
                request_id,
                getattr(who, "name", "-"),
            )


def method_label(method: str) -> str:
    """The method if it is a usual one, so that strangers cannot make new series or log lines."""
    return method if method in {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"} else "OTHER"
