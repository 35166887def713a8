"""Whether the service lives, is ready, and how much waits; outside /v1 and without a token."""

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy import Engine

from actinium.errors import Unavailable
from db import dispatchers, progress
from services.api.access import Database, Now, now
from services.api.gates import admitted
from services.api.gauges import QueueGauges
from services.disk_space import disk_shortage
from services.settings import Settings

NO_ROOM = "no room"
"""How the detail of a 503 begins where only a full disk is in the way. `services.stack.checks` looks for these words: a
service that answers so need not be restarted.
"""

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers: the event loop does, without a thread or the database."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(request: Request, engine: Database, at: Now) -> dict[str, str]:
    """The database answers and has its tables, the disk has room, and every dispatcher leases; 503 otherwise."""
    settings: Settings = request.app.state.settings
    with engine.begin() as connection:
        progress.totals(connection)
        living = dispatchers.living(connection, now=at, silent_seconds=settings.lease_seconds)
    why = disk_shortage(settings.home, least=settings.min_free_bytes)
    why = why or next((standing.halted for standing in living if standing.halted), None)
    if why is not None:
        raise Unavailable(f"{NO_ROOM}: {why}")
    return {"status": "ready"}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Prometheus: requests and their times, and what `services.api.gauges` lists."""
    registry: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def install(app: FastAPI, *, engine: Engine, registry: CollectorRegistry) -> None:
    """Puts the health routes and the queue's gauges into the app."""
    registry.register(QueueGauges(engine, app.state.settings, now))
    app.include_router(router, dependencies=[Depends(admitted)])
