"""`python -m services.sink`: outbox -> MLflow, until SIGTERM. MLflow may be away: what there is to tell stays due."""

import logging
import os
import sys
import threading
from datetime import timedelta

from actinium.errors import ActiniumError, StackError, Unavailable, first_line
from db.engine import DATABASE_AWAY
from services.loop import Pulse, backoff, open_database, set_up_logging, stop_on_signals, utc_now
from services.settings import Settings

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
"""The pause after a round that found nothing to tell."""
CLIENT_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the loop itself tries again, and says so
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}


def main() -> int:
    """Run until told to stop; the exit code."""
    set_up_logging()
    stop = stop_on_signals()
    try:
        serve(Settings(), stop=stop)
    except ActiniumError as error:
        if stop.is_set():
            return 0
        log.error("%s", error)
        return 1
    return 0


def serve(settings: Settings, *, stop: threading.Event) -> None:
    """Mirror until `stop`."""
    pulse = Pulse()
    pulse.clear()
    if settings.mlflow_url is None:
        raise StackError("ACTINIUM_MLFLOW_URL is not set; `actinium up` sets it for the services that it starts")
    engine = open_database(settings, stop=stop)
    for name, value in CLIENT_SETTINGS.items():
        os.environ.setdefault(name, value)
    from services.sink.inspection import INSPECTION_SECONDS, Inspection
    from services.sink.sink import Sink  # the client reads its settings when it is imported
    from services.sink.tracking import Tracking

    tracking = Tracking(settings.mlflow_url)
    sink = Sink(engine=engine, tracking=tracking, stopping=stop.is_set, pulse=pulse.beat)
    inspection, inspection_at = Inspection(engine=engine, tracking=tracking), utc_now()
    failures = 0
    while not stop.is_set():
        pulse.beat()  # MLflow may be away: this service waits for it, and that is its work then
        pause = 0.0
        try:
            pause = 0.0 if sink.run_once(now=utc_now()) else IDLE_SECONDS
            if pause and utc_now() >= inspection_at:
                inspection.run_once(now=utc_now())
                inspection_at = utc_now() + timedelta(seconds=INSPECTION_SECONDS)
            failures = 0
        except (Unavailable, *DATABASE_AWAY) as error:
            failures += 1
            log.warning("%s", first_line(error))
        except Exception:  # the rim of the loop
            failures += 1
            log.exception("a round failed")
        stop.wait(backoff(failures) if failures else pause)
    engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
