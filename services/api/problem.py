"""Every error as problem+json (RFC 9457): type, title, status, detail, instance, errors, request_id."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from actinium.errors import STATUS, ActiniumError, Conflict, FieldError, InvalidInput, TooMany
from actinium.names import pattern_refusal
from db.engine import disk_full
from services.api.access import ACCESS
from services.api.throttle import seconds

log = logging.getLogger(__name__)

DETAIL_LIMIT = 2000
PATHS = [(compile_path(path)[0], method) for method, path in ACCESS]
AWAY = "the database does not answer; try again in a moment"
FULL = "the disk of the database is full, and nothing was written; make room there, and try again"


class UnsupportedMediaType(ActiniumError):
    """The body's Content-Type is none that the route reads."""


class BodyMissing(ActiniumError):
    """The body did not arrive whole: the caller was too slow, or hung up."""


ANSWERED = {**STATUS, UnsupportedMediaType: 415, BodyMissing: 408}


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """The one shape of an error; some statuses carry the headers that belong to them."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail[:DETAIL_LIMIT],
        "instance": request.url.path,
        "errors": [{"path": error.path, "message": error.message} for error in errors],
        "request_id": request.scope.get("request_id"),
        **(extra or {}),
    }
    own = {
        401: {"WWW-Authenticate": 'Bearer realm="actinium"'},
        408: {"Connection": "close"},
        413: {"Connection": "close"},
        503: {"Retry-After": "2"},
    }
    return Response(
        json.dumps(document),
        status_code=status,
        media_type="application/problem+json",
        headers={**own.get(status, {}), **(headers or {})},
    )


def on_own_error(request: Request, error: Exception) -> Response:
    """An error of our own tree, with the status of `ANSWERED`; a class without one is a fault of the service (500)."""
    for kind, status in ANSWERED.items():
        if isinstance(error, kind):
            errors = error.errors if isinstance(error, InvalidInput) else ()
            extra = {"study_ids": list(error.ids)} if isinstance(error, Conflict) and error.ids else None
            headers = {"Retry-After": seconds(error)} if isinstance(error, TooMany) else None
            detail = str(error.args[0]) if error.args else ""
            return problem(request, status, detail, errors=errors, headers=headers, extra=extra)
    return on_fault(request, error)


def on_http_error(request: Request, error: Exception) -> Response:
    """Starlette's own: unknown routes and methods."""
    assert isinstance(error, HTTPException)
    detail = {
        404: f"there is no route {request.url.path[:200]}; /docs lists those there are",
        405: f"{request.url.path[:200]} does not take {request.method}; the Allow header names what it takes",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers or {})
    if error.status_code == 405:  # Starlette names the methods of one route, and a path may have several
        headers["Allow"] = ", ".join(sorted(m for pattern, m in PATHS if pattern.match(request.url.path)))
    return problem(request, error.status_code, detail, headers=headers)


def on_bad_parameters(request: Request, error: Exception) -> Response:
    """FastAPI's check of path, query and header parameters."""
    assert isinstance(error, RequestValidationError)
    errors = []
    for item in error.errors():
        pattern = item.get("ctx", {}).get("pattern")
        message = pattern_refusal(pattern, item.get("input")) or item["msg"]
        errors.append(FieldError(".".join(map(str, item["loc"])), f"{str(item.get('input'))[:80]!r}: {message}"))
    return problem(request, 422, "a parameter is not accepted", errors=errors)


def on_database_error(request: Request, error: Exception) -> Response:
    """A lost or overloaded database is 503; a statement that it refuses is a fault of the service."""
    away = isinstance(error, OperationalError | InterfaceError | PoolTimeout)
    if away or (isinstance(error, DBAPIError) and error.connection_invalidated):
        log.warning("request %s: database away: %s", request.scope.get("request_id"), type(error).__name__)
        return problem(request, 503, FULL if disk_full(error) else AWAY)
    return on_fault(request, error)


def on_fault(request: Request, error: Exception) -> Response:
    """A fault of the service: the traceback goes to the log, its request id to the caller."""
    request_id = request.scope.get("request_id")
    log.error("request %s failed", request_id, exc_info=error)
    return problem(request, 500, f"the service failed; its log says more under request {request_id}")


def install(app: FastAPI) -> None:
    """Registers a handler for every kind of error, so that all are answered as problem+json."""
    app.add_exception_handler(ActiniumError, on_own_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_bad_parameters)
    app.add_exception_handler(DBAPIError, on_database_error)
    app.add_exception_handler(PoolTimeout, on_database_error)
