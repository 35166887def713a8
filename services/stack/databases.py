"""The service's two databases for a command that reads them, whether a stack runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from actinium.errors import StackError
from db.embedded import embedded, exists, is_running
from services.settings import Settings
from services.stack.plan import beside
from services.stack.state import try_lock


@dataclass(frozen=True, kw_only=True)
class DatabaseUrls:
    """Addresses. `mlflow` is None where MLflow is somebody else's."""

    actinium: str
    mlflow: str | None


@contextmanager
def opened(settings: Settings) -> Iterator[DatabaseUrls]:
    """The databases of the settings: ACTINIUM_DATABASE_URL's, or the home's own.

    The home's server is used as it runs; where it does not it is started, and stopped again, under the home's lock.
    """
    home = settings.home.expanduser().absolute()
    own_mlflow = settings.mlflow_url is None
    if settings.database_url is not None:
        yield DatabaseUrls(actinium=settings.database_url, mlflow=beside(settings.database_url) if own_mlflow else None)
        return
    if not exists(home):
        raise StackError(f"there is no database in {home}; set ACTINIUM_HOME or ACTINIUM_DATABASE_URL")
    lock = try_lock(home)
    started = lock is not None and not is_running(home)
    try:
        server = embedded(home)
        try:
            yield DatabaseUrls(actinium=server.url, mlflow=server.mlflow_url if own_mlflow else None)
        finally:
            if started:
                server.stop()
    finally:
        if lock is not None:
            lock.close()
