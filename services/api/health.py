"""Whether the service lives, is ready, and how much waits; outside /v1 and without a token."""

from collections.abc import Iterator

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from actinium.errors import Unavailable
from actinium.job import JobState
from db import dispatchers, progress
from services.api.access import Database, Now
from services.room import lacking
from services.settings import Settings

NO_ROOM = "no room"
"""How a 503 begins where the service answers and only waits for room on a disk; the stack's own check knows it."""

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(request: Request, engine: Database, at: Now) -> dict[str, str]:
    """The database answers and has its tables, the disk has room, and every dispatcher leases; 503 otherwise."""
    settings: Settings = request.app.state.settings
    with engine.begin() as connection:
        progress.totals(connection)
        living = dispatchers.living(connection, now=at, silent_seconds=settings.lease_seconds)
    why = lacking(settings.home, least=settings.min_free_bytes)
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
    """Prometheus: requests, their times, open jobs by state, whether the database answers."""
    registry: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class Queue(Collector):
    """Open jobs, counted when somebody looks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def describe(self) -> list[Metric]:
        """Nothing is counted to register."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Gauges of now; without a database only that it is away."""
        up = GaugeMetricFamily("actinium_database_up", "1 while the database answers")
        try:
            with self._engine.begin() as connection:
                open_jobs = progress.totals(connection)
        except SQLAlchemyError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        jobs = GaugeMetricFamily("actinium_jobs", "Open jobs by state", labels=["state"])
        for state, count in open_jobs.items():
            jobs.add_metric([state.value], count)
        yield jobs
        yield GaugeMetricFamily("actinium_queue_depth", "Jobs that wait", value=open_jobs[JobState.QUEUED])


def install(app: FastAPI, *, engine: Engine, registry: CollectorRegistry) -> None:
    """Puts the health routes and the queue's gauges into the app."""
    registry.register(Queue(engine))
    app.include_router(router)
