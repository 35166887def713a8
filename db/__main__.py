"""`python -m db prepare`: bring ACTINIUM_DATABASE_URL's database up to date, before any service starts.

`--also NAME` makes a second database on the same server where it is missing (MLflow keeps its own store there). With
ACTINIUM_DATABASE_ADMIN_URL, a superuser's address (its password in ACTINIUM_DATABASE_ADMIN_PASSWORD), the user of
ACTINIUM_DATABASE_URL is made first, as owner of the two databases and no superuser; its password is that of the
address, or PGPASSWORD.
"""

import argparse
import os
import sys

from sqlalchemy import Engine, text

from actinium.errors import ActiniumError, InvalidInput
from db.engine import database_url, make_engine, migrate, wait_ready
from db.roles import give, make_role


def prepare(url: str, *, also: str | None) -> None:
    """Wait for the server, make the second database, migrate the first."""
    engine = make_engine(url, pool_size=1)
    try:
        wait_ready(engine, seconds=120.0)
        if also is not None:
            make_database(engine, also)
        migrate(engine)
    finally:
        engine.dispose()


def prepare_role(url: str, *, admin: str, admin_password: str | None, password: str | None, also: str | None) -> None:
    """Make the user and the databases of `url`, and give that user what is in them. `admin`: a superuser's address."""
    service, superuser = database_url(url), database_url(admin)
    if service.username is None or service.database is None:
        raise InvalidInput("ACTINIUM_DATABASE_URL names no user or no database; give postgresql://USER@HOST/DATABASE")
    if admin_password:
        superuser = superuser.set(password=admin_password)
    names = [service.database, *([also] if also else [])]
    for name in (superuser.database, *names):
        engine = make_engine(superuser.set(database=name).render_as_string(hide_password=False), pool_size=1)
        try:
            if name == superuser.database:
                wait_ready(engine, seconds=120.0)
                given = service.password or password
                make_role(engine, role=service.username, password=given and str(given), databases=names)
            if name in names:
                give(engine, role=service.username)
        finally:
            engine.dispose()


def make_database(engine: Engine, name: str) -> None:
    """Make a second database on the same server where it is missing."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        known = connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
        if known.scalar_one_or_none() is None:
            quoted = engine.dialect.identifier_preparer.quote_identifier(name)
            connection.exec_driver_sql(f"CREATE DATABASE {quoted}")


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 when the database is ready, 1 with a sentence when it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m db", description=__doc__)
    parser.add_argument("command", choices=["prepare"])
    parser.add_argument("--also", metavar="NAME", help="a second database to make on the same server")
    given = parser.parse_args(arguments)
    url = os.environ.get("ACTINIUM_DATABASE_URL")
    if not url:
        sys.stderr.write("ACTINIUM_DATABASE_URL is not set; give postgresql://USER:PASSWORD@HOST/DATABASE\n")
        return 1
    admin = os.environ.get("ACTINIUM_DATABASE_ADMIN_URL")
    try:
        if admin:
            prepare_role(
                url,
                admin=admin,
                admin_password=os.environ.get("ACTINIUM_DATABASE_ADMIN_PASSWORD"),
                password=os.environ.get("PGPASSWORD"),
                also=given.also,
            )
        prepare(url, also=given.also)
    except ActiniumError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
