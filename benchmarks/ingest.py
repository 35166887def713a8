"""Measured values into PostgreSQL, and the same into MLflow by its REST `log_batch`, in one call.

python benchmarks/ingest.py [REPETITIONS]. One durable server, as `actinium up` starts it, holds both stores. Ours gets
what a dispatcher writes: the frames of a pack of 16 lanes (a network of ten hidden layers, 134 series) by binary COPY,
16 x 24 frames a transaction, with the outbox's rows, behind the fence that every write of a result passes. MLflow's
server, one worker as in the stack, gets batches of 1,000 metrics, its limit. Studies, frames and metrics are made
before the clock starts. The two take turns.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from ground.server import free_port, ground, migrated, process, say_load, seconds
from ground.studies import series
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from sqlalchemy import Engine

from actinium.frame import Frame, Layout
from actinium.job import Lease
from actinium.study import expand, parse_study
from db import frames, queue, studies

LANES, POINTS = 16, 24
BATCH = 1000
LAYOUT = Layout(series=tuple(series(10)))
NAMES = count(1)
STEP = count()
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def leased(engine: Engine, packs: int) -> list[list[Lease]]:
    """So many packs of a new study, leased."""
    document = {"name": f"study {next(NAMES)}", "seeds": LANES * packs}
    with engine.begin() as connection:
        studies.create(connection, expand(parse_study(document)), owner="ada", now=NOW)
        take = partial(queue.lease, connection, now=NOW, holder="d", lease_seconds=3600, width=LANES)
        return [take() for _ in range(packs)]


def arrived(pack: Sequence[Lease]) -> list[Frame]:
    """Every frame of a pack."""
    values = np.random.default_rng(0).random((LANES * POINTS, len(LAYOUT.series)), dtype=np.float32)
    return [
        Frame(trial_id=pack[at % LANES].trial_id, attempt=1, step=at // LANES, time=0.1 * at, values=row)
        for at, row in enumerate(values)
    ]


def batch() -> list[Metric]:
    """A full batch, each series at a further step."""
    step = next(STEP)
    return [Metric(f"series_{key}", 0.5 + 0.001 * step, 0, step) for key in range(BATCH)]


def stored(engine: Engine, packs: int) -> float:
    """Values a second, a transaction a pack."""
    made = [arrived(pack) for pack in leased(engine, packs)]

    def write() -> None:
        for given in made:
            with engine.begin() as connection:
                frames.write(connection, LAYOUT, given)

    return packs * LANES * POINTS * len(LAYOUT.series) / seconds(write)


def logged(client: MlflowClient, run: str, batches: int) -> float:
    """Values a second, a request a batch."""
    made = [batch() for _ in range(batches)]

    def write() -> None:
        for metrics in made:
            client.log_batch(run, metrics=metrics)

    return batches * BATCH / seconds(write)


def main(repetitions: int) -> None:
    """One line: our values a second, and how many times MLflow's."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_AGENT_HINT": "true",
    }
    ours: list[float] = []
    theirs: list[float] = []
    with ground() as server, migrated(server, "ingest") as engine, tempfile.TemporaryDirectory() as folder:
        environment["MLFLOW_BACKEND_STORE_URI"] = server.mlflow_url
        command = ("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        artifacts = ("--artifacts-destination", folder)
        with process(*command, *artifacts, ready=f"{address}/health", log=Path(folder) / "log", **environment):
            client = MlflowClient(address)
            run = client.create_run(client.create_experiment("ingest")).info.run_id
            stored(engine, 2), logged(client, run, 1)
            for _ in range(repetitions):
                ours.append(stored(engine, 20))
                theirs.append(logged(client, run, 3))
                print(f"{ours[-1]:,.0f} values a second against {theirs[-1]:,.0f}", flush=True)
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    say_load()
    print(f"bench ingest values_per_second={statistics.median(ours):.0f} versus_mlflow={ratio:.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
