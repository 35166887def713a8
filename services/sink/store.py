"""`python -m services.sink.store [VERSION]`: make or upgrade the tables of MLflow's own store.

For restoring a backup: rows of an older MLflow go into tables of that version, which are then brought up to date.
MLFLOW_BACKEND_STORE_URI names the database; without VERSION it is brought to the newest.
"""

import os
import sys

from alembic import command
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from mlflow import __version__ as mlflow_version
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base
from sqlalchemy import create_engine

from services.loop import set_up_logging


def main(arguments: list[str]) -> int:
    """Exit 0, or 1 with a sentence when this MLflow does not know the version."""
    set_up_logging()
    url = os.environ["MLFLOW_BACKEND_STORE_URI"]
    config = utils._get_alembic_config(url)  # type: ignore[no-untyped-call]
    scripts = ScriptDirectory.from_config(config)
    try:
        found = scripts.get_revision(arguments[0] if arguments else "head")
    except CommandError:
        found = None
    if found is None:
        sys.stderr.write(
            f"MLflow {mlflow_version} does not know version {arguments[0]!r} of its store; install a newer one\n"
        )
        return 1
    engine = create_engine(url, connect_args={"client_encoding": "utf8"})
    if utils._is_empty_database(engine):  # type: ignore[no-untyped-call]
        Base.metadata.create_all(engine)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, found.revision)
    engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
