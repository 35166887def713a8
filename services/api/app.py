"""The application: routes, roles, errors and the rim."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from actinium.errors import StackError
from db.engine import make_engine
from services.api import (
    audit,
    catalogue,
    datasets,
    dispatchers,
    docs_page,
    events,
    export,
    health,
    identity,
    life,
    mirror,
    openapi,
    pack_widths,
    problem,
    report,
    studies,
    tokens,
    trials,
)
from services.api.access import ACCESS, authorized, check_table
from services.api.edge import Edge
from services.api.gates import PASSAGES, THREADS, Gates, admitted
from services.api.parameters import known_parameters
from services.api.preflight import Preflight
from services.api.report import Reports
from services.api.throttle import Throttle
from services.settings import Settings

RESOURCES = (
    studies,
    life,
    mirror,
    trials,
    report,
    export,
    events,
    catalogue,
    datasets,
    pack_widths,
    dispatchers,
    tokens,
    audit,
)


def create_app(settings: Settings, *, engine: Engine | None = None) -> FastAPI:
    """The app over the database of the settings. Whoever passes an engine disposes of it."""
    if engine is None and settings.database_url is None:
        raise StackError("ACTINIUM_DATABASE_URL is not set; `actinium up` sets it for the services that it starts")
    database = engine or make_engine(str(settings.database_url), pool_size=settings.pool_size)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        yield
        if engine is None:
            database.dispose()

    # Without redirects to a path without its last slash: they would repeat the Host header of whoever asks.
    app = FastAPI(
        title="Actinium", version="1", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    registry = CollectorRegistry()
    app.state.settings = settings
    app.state.engine = database
    app.state.registry = registry
    app.state.reports = Reports()
    app.state.preflight = Preflight()
    app.state.throttle = Throttle(settings)
    app.state.gates = Gates()
    app.state.identities = identity.of(settings)
    guarded = [route for resource in RESOURCES for route in resource.router.routes]
    check_table(guarded, [*app.routes, *docs_page.router.routes, *health.router.routes])
    assert PASSAGES.keys() == ACCESS.keys(), f"routes without a bound: {PASSAGES.keys() ^ ACCESS.keys()}"
    for resource in RESOURCES:
        asked = [Depends(authorized), Depends(admitted), Depends(known_parameters)]
        app.include_router(resource.router, dependencies=asked)
    app.include_router(docs_page.router)
    health.install(app, engine=database, registry=registry)
    problem.install(app)
    openapi.install(app)
    app.add_middleware(Edge, registry=registry, gates=app.state.gates, allowed_hosts=settings.allowed_hosts)
    return app
