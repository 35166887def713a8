"""What /metrics tells besides requests: the queue, the leases, the mirror, the dispatchers, the disk. One table."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from actinium.job import JobState
from db import dispatchers, progress
from db.dispatchers import Standing
from db.gauges import Gauges, gauges
from services.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """Everything that one scrape has seen."""

    jobs: dict[JobState, int]
    gauges: Gauges
    living: Sequence[Standing]


GAUGES: Sequence[tuple[str, str, Callable[[Scrape], float]]] = (
    ("actinium_queue_depth", "Jobs that wait", lambda scrape: scrape.jobs[JobState.QUEUED]),
    ("actinium_oldest_due_seconds", "How long a job that is due has waited", lambda scrape: scrape.gauges.oldest_due),
    ("actinium_oldest_lease_seconds", "How long ago the oldest lease began", lambda scrape: scrape.gauges.oldest_lease),
    ("actinium_leases_expiring", "Leases with less than a third left", lambda scrape: scrape.gauges.expiring),
    ("actinium_leases_expired", "Leases that ran out and are not rescued", lambda scrape: scrape.gauges.expired),
    ("actinium_studies_paused", "Studies that are paused", lambda scrape: scrape.gauges.paused_studies),
    ("actinium_outbox_depth", "News not mirrored, counted to 10,000", lambda scrape: scrape.gauges.unmirrored),
    (
        "actinium_outbox_oldest_seconds",
        "How long ago a trial ended that MLflow does not show as ended",
        lambda scrape: scrape.gauges.oldest_unmirrored,
    ),
    ("actinium_dispatchers", "Dispatchers that live", lambda scrape: len(scrape.living)),
    (
        "actinium_dispatchers_halted",
        "Those that lease nothing",
        lambda scrape: sum(1 for one in scrape.living if one.halted),
    ),
    ("actinium_slots", "Slots that train or could at once", lambda scrape: sum(one.slots for one in scrape.living)),
    ("actinium_slots_busy", "Slots that train", lambda scrape: sum(one.busy for one in scrape.living)),
    (
        "actinium_nodes_avoided",
        "Nodes that lose their workers and get no work",
        lambda scrape: len({node for one in scrape.living for node in one.avoided}),
    ),
)
"""Name, help, value."""


class QueueGauges(Collector):
    """A Prometheus collector that asks the database at each scrape."""

    def __init__(self, engine: Engine, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock

    def describe(self) -> list[Metric]:
        """Empty: registering must not ask the database, which may be away."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Gauges of now; without a database only that it is away, and the disk."""
        yield from self._disk()
        try:
            scrape = self._scrape()
        except SQLAlchemyError:
            scrape = None
        up = scrape is not None
        yield GaugeMetricFamily("actinium_database_up", "1 while the database answers", value=float(up))
        if scrape is None:
            return
        jobs = GaugeMetricFamily("actinium_jobs", "Open jobs by state", labels=["state"])
        for state, count in scrape.jobs.items():
            jobs.add_metric([state.value], count)
        yield jobs
        for name, told, value in GAUGES:
            yield GaugeMetricFamily(name, told, value=value(scrape))

    def _scrape(self) -> Scrape:
        now, lease = self._clock(), self._settings.lease_seconds
        with self._engine.begin() as conn:
            return Scrape(
                jobs=progress.totals(conn),
                gauges=gauges(conn, now=now, lease_seconds=lease),
                living=dispatchers.living(conn, now=now, silent_seconds=lease),
            )

    def _disk(self) -> Iterator[Metric]:
        try:
            free = shutil.disk_usage(self._settings.home).free
        except OSError:
            return
        yield GaugeMetricFamily("actinium_disk_free_bytes", "Room on the disk of ACTINIUM_HOME", value=free)
