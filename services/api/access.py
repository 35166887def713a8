"""Who may do what: one table, read by the app and by its tests."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine
from starlette.routing import BaseRoute, Route

from actinium.errors import Forbidden, NotFound, Unauthenticated
from actinium.job import Role, StudyId
from db import datasets, studies, tokens
from db.limits import Quota
from db.tokens import Principal
from services.api.identity import Identities, may_be
from services.api.references import DatasetReference, StudyReference
from services.api.throttle import Throttle
from services.settings import Settings


@dataclass(frozen=True)
class Requirement:
    """What a caller needs for a route: a token of this role or a stronger one (None: no token at all); with `own` also
    that they own the study or dataset named by the path, or are an admin.
    """

    role: Role | None
    own: bool = False


ANYBODY = Requirement(None)
READ = Requirement(Role.VIEWER)
SUBMIT = Requirement(Role.SUBMITTER)
CHANGE = Requirement(Role.SUBMITTER, own=True)
ADMINISTER = Requirement(Role.ADMIN)

ACCESS: dict[tuple[str, str], Requirement] = {
    ("POST", "/v1/studies"): SUBMIT,
    ("GET", "/v1/studies"): READ,
    ("GET", "/v1/studies/{study}"): READ,
    ("PATCH", "/v1/studies/{study}"): CHANGE,
    ("POST", "/v1/studies/{study}/cancel"): CHANGE,
    ("POST", "/v1/studies/{study}/pause"): CHANGE,
    ("POST", "/v1/studies/{study}/resume"): CHANGE,
    ("POST", "/v1/studies/{study}/extend"): CHANGE,
    ("POST", "/v1/studies/{study}/retry"): CHANGE,
    ("POST", "/v1/studies/{study}/mirror"): CHANGE,
    ("GET", "/v1/mirror"): READ,
    ("POST", "/v1/studies/{study}/archive"): CHANGE,
    ("DELETE", "/v1/studies/{study}"): CHANGE,
    ("GET", "/v1/studies/{study}/trials"): READ,
    ("GET", "/v1/studies/{study}/report"): READ,
    ("GET", "/v1/studies/{study}/curves"): READ,
    ("GET", "/v1/studies/{study}/export"): READ,
    ("GET", "/v1/studies/{study}/events"): READ,
    ("GET", "/v1/trials/{trial}"): READ,
    ("GET", "/v1/trials/{trial}/events"): READ,
    ("GET", "/v1/trials/{trial}/frames"): READ,
    ("GET", "/v1/trials/{trial}/artifacts/{name}"): READ,
    ("GET", "/v1/catalogue"): READ,
    ("POST", "/v1/datasets"): SUBMIT,
    ("GET", "/v1/datasets"): READ,
    ("DELETE", "/v1/datasets/{name}"): CHANGE,
    ("GET", "/v1/pack-widths"): READ,
    ("GET", "/v1/dispatchers"): READ,
    ("GET", "/v1/audit"): ADMINISTER,
    ("POST", "/v1/tokens"): ADMINISTER,
    ("GET", "/v1/tokens"): ADMINISTER,
    ("DELETE", "/v1/tokens/{token_id}"): ADMINISTER,
    # Numbers alone, of no study and nobody: what a scraper and a health check read without a secret.
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/metrics"): ANYBODY,
    ("GET", "/docs"): ANYBODY,
    ("HEAD", "/docs"): ANYBODY,
    ("GET", "/openapi.json"): ANYBODY,
    ("HEAD", "/openapi.json"): ANYBODY,
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
    """The caller, if the token is valid and its role is enough for the route. A request without a token is not counted
    as a failed attempt.
    """
    if given is None or not given.credentials.strip():
        raise Unauthenticated("no token; send the header Authorization: Bearer TOKEN")
    throttle: Throttle = request.app.state.throttle
    secret, host = given.credentials.strip(), request.client.host if request.client else None
    throttle.check(host, secret, at)
    try:
        principal = _principal(request, engine, secret, at)
    except Unauthenticated:
        throttle.failed(host, secret, at)
        raise
    throttle.opened(principal.id, secret, at)
    request.scope["principal"] = principal
    needed = ACCESS[request.method, request.scope["route"].path].role
    assert needed is not None, "routes for anybody do not ask who it is"
    if not principal.role.includes(needed):
        raise Forbidden(f"the token {principal.name!r} has the role {principal.role.value}; this needs {needed.value}")
    return principal


def _principal(request: Request, engine: Engine, secret: str, at: datetime) -> Principal:
    identities: Identities | None = request.app.state.identities
    if identities is not None and may_be(secret):
        name = identities.name(secret, at)
        with engine.begin() as connection:
            return tokens.named(connection, name, at)
    with engine.begin() as connection:
        return tokens.authenticate(connection, secret, at)


Caller = Annotated[Principal, Depends(authorized)]


def own_study(engine: Database, caller: Caller, study: StudyReference) -> StudyId:
    """The study of the path, found once, if the caller may change it: it is theirs, or they are an admin.

    An owner is a token's name, so that who gets a new token keeps what they have.
    """
    with engine.begin() as connection:
        found = studies.find(connection, study)
        owner = studies.owner_of(connection, found)
    if owner != caller.name and caller.role is not Role.ADMIN:
        raise Forbidden(
            f"study {found} is {owner[:120]!r}'s, and the token is {caller.name!r}'s: only its owner and admins change"
            " it; ask them, or submit a study of your own"
        )
    return found


OwnStudy = Annotated[StudyId, Depends(own_study)]


def own_dataset(engine: Database, caller: Caller, name: DatasetReference) -> str:
    """The dataset of the path, if the caller may delete it: they added it, or they are an admin."""
    with engine.begin() as connection:
        row = datasets.get(connection, name)
    if row is None:
        raise NotFound(f"there is no dataset {name[:120]!r} that was added; `actinium data ls` shows those there are")
    if row.owner != caller.name and caller.role is not Role.ADMIN:
        raise Forbidden(f"dataset {name} is {row.owner[:120]!r}'s: only its owner and admins delete it")
    return name


OwnDataset = Annotated[str, Depends(own_dataset)]


def quota_of(settings: Settings, caller: Principal) -> Quota:
    """How much the caller may have. Admins are bounded in what is queued alone."""
    if caller.role is Role.ADMIN:
        return Quota(queued_trials=settings.owner_queued_trials)
    return Quota(
        queued_trials=settings.owner_queued_trials,
        studies=settings.owner_studies,
        trials=settings.owner_trials,
        dataset_bytes=settings.owner_dataset_bytes,
    )


def check_priority(settings: Settings, caller: Principal, priority: int) -> None:
    """Forbidden where the caller may not give a study this priority."""
    most = settings.submitter_priority
    if priority > most and caller.role is not Role.ADMIN:
        raise Forbidden(
            f"priority {priority} is above {most}, the highest that submitters may give"
            " (ACTINIUM_SUBMITTER_PRIORITY); an admin can raise it"
        )


OWNERS = (own_study, own_dataset)
"""The dependencies that look whose the thing of the path is."""


def check_table(guarded: Iterable[BaseRoute], unguarded: Iterable[BaseRoute]) -> None:
    """Assert that the table and the app agree: every route stands in the table and no other does; the routes for
    anybody are exactly those without a check of tokens, and those with `own` exactly those that depend on one of
    `OWNERS`.
    """
    found: dict[tuple[str, str], Requirement | None] = {}
    for route, anybody in [*((route, False) for route in guarded), *((route, True) for route in unguarded)]:
        if isinstance(route, Route):
            for method in route.methods or ():
                rule = ACCESS.get((method, route.path))
                own = isinstance(route, APIRoute) and any(_asks(route.dependant, whose) for whose in OWNERS)
                fits = rule is not None and (rule.role is None) == anybody and rule.own == own
                found[method, route.path] = rule if fits else None
    assert found == ACCESS, f"the routes and the table of access differ in {found.items() ^ ACCESS.items()}"


def _asks(dependant: Dependant, whom: object) -> bool:
    return dependant.call is whom or any(_asks(inner, whom) for inner in dependant.dependencies)
