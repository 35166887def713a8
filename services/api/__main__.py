"""`python -m services.api`: waits for the database, migrates it, makes the tokens of the settings known, and serves."""

import logging
import sys
from typing import Any

import uvicorn

from actinium.errors import ActiniumError, StackError
from actinium.job import Role
from db import tokens
from db.engine import make_engine, migrate, wait_ready
from services.api.access import now
from services.api.app import create_app
from services.api.http_protocol import BoundedHeads
from services.settings import Settings

GRACE_SECONDS = 3
"""How long requests in flight, event streams among them, may go on after SIGTERM."""


def main() -> int:
    """Serves until it is told to stop; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = Settings()
    try:
        serve(settings)
    except ActiniumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def serve(settings: Settings) -> None:
    """Serves the settings' database on the settings' address."""
    if settings.database_url is None:
        raise StackError("ACTINIUM_DATABASE_URL is not set; `actinium up` sets it for the services that it starts")
    engine = make_engine(settings.database_url, pool_size=settings.pool_size)
    try:
        wait_ready(engine)
        migrate(engine)
        with engine.begin() as connection:
            for secret, name, role in (
                (settings.admin_token, "admin", Role.ADMIN),
                (settings.viewer_token, "dashboard", Role.VIEWER),
            ):
                if secret:
                    tokens.ensure(connection, secret=secret, name=name, role=role, now=now(), service=True)
        uvicorn.run(
            create_app(settings, engine=engine),
            host=settings.api_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            server_header=False,
            http=BoundedHeads,
            **proxied(settings),
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    finally:
        engine.dispose()


def proxied(settings: Settings) -> dict[str, Any]:
    """Whom uvicorn believes where a request comes from: nobody, unless the settings name proxies. Its own default is
    everybody on this machine, who could then be anybody.
    """
    return {"proxy_headers": settings.proxies is not None, "forwarded_allow_ips": settings.proxies or ""}


if __name__ == "__main__":
    sys.exit(main())
