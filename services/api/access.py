"""Who may do what: one table, read by the app and by its tests."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine
from starlette.routing import BaseRoute

from actinium.errors import Forbidden, Unauthenticated
from actinium.job import Role
from db import tokens
from db.tokens import Principal

ACCESS: dict[tuple[str, str], Role] = {
    ("POST", "/v1/studies"): Role.SUBMITTER,
    ("GET", "/v1/studies"): Role.VIEWER,
    ("GET", "/v1/studies/{study}"): Role.VIEWER,
    ("PATCH", "/v1/studies/{study}"): Role.SUBMITTER,
    ("POST", "/v1/studies/{study}/cancel"): Role.SUBMITTER,
    ("POST", "/v1/studies/{study}/pause"): Role.SUBMITTER,
    ("POST", "/v1/studies/{study}/resume"): Role.SUBMITTER,
    ("POST", "/v1/studies/{study}/extend"): Role.SUBMITTER,
    ("POST", "/v1/studies/{study}/retry"): Role.SUBMITTER,
    ("GET", "/v1/studies/{study}/trials"): Role.VIEWER,
    ("GET", "/v1/studies/{study}/report"): Role.VIEWER,
    ("GET", "/v1/studies/{study}/curves"): Role.VIEWER,
    ("GET", "/v1/studies/{study}/export"): Role.VIEWER,
    ("GET", "/v1/studies/{study}/events"): Role.VIEWER,
    ("GET", "/v1/trials/{trial}"): Role.VIEWER,
    ("GET", "/v1/trials/{trial}/events"): Role.VIEWER,
    ("GET", "/v1/trials/{trial}/frames"): Role.VIEWER,
    ("GET", "/v1/trials/{trial}/artifacts/{name}"): Role.VIEWER,
    ("GET", "/v1/catalogue"): Role.VIEWER,
    ("POST", "/v1/datasets"): Role.SUBMITTER,
    ("GET", "/v1/datasets"): Role.VIEWER,
    ("GET", "/v1/pack-widths"): Role.VIEWER,
    ("POST", "/v1/tokens"): Role.ADMIN,
    ("GET", "/v1/tokens"): Role.ADMIN,
    ("DELETE", "/v1/tokens/{token_id}"): Role.ADMIN,
}


def engine_of(request: Request) -> Engine:
    """The app's database."""
    engine: Engine = request.app.state.engine
    return engine


Database = Annotated[Engine, Depends(engine_of)]


def now() -> datetime:
    """The request's time."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(now)]


BEARER = HTTPBearer(auto_error=False, description="A token of the service; `actinium token create` makes one.")


def authorized(
    request: Request,
    engine: Database,
    at: Now,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Principal:
    """The caller, if the token is known and its role is enough for the route."""
    if given is None or not given.credentials.strip():
        raise Unauthenticated("no token; send the header Authorization: Bearer TOKEN")
    with engine.begin() as connection:
        principal = tokens.authenticate(connection, given.credentials.strip(), at)
    if principal is None:
        raise Unauthenticated("the token is not known or was revoked; ask an admin for one")
    request.scope["principal"] = principal
    needed = ACCESS[request.method, request.scope["route"].path]
    if not principal.role.includes(needed):
        raise Forbidden(f"the token {principal.name!r} has the role {principal.role.value}; this needs {needed.value}")
    return principal


Caller = Annotated[Principal, Depends(authorized)]


def check_table(routes: Iterable[BaseRoute]) -> None:
    """Every route of the resources has its role, and the table names no route that is not there."""
    found = {(method, route.path) for route in routes if isinstance(route, APIRoute) for method in route.methods or ()}
    assert found == set(ACCESS), f"routes and roles differ in {found ^ set(ACCESS)}"
