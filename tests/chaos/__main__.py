"""`python -m chaos`, in the folder `tests`: a large study while a seeded monkey strikes everything that works on it.

The last line is `chaos events=N lost=0 duplicated=0 differing=0 mlflow_missing=0`. Exit 0 when it reads so and all the
events took place; else the stack's home, with logs and `logs/chaos.jsonl`, is left for whoever looks into it.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stack_fixture import LEASE_SECONDS, started

from services.sink.__main__ import CLIENT_SETTINGS

if TYPE_CHECKING:
    from chaos.hunt import Result

CELLS = 200
"""Of the grid below; the seeds make the trials."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}
"""To be asked for thousands of runs takes MLflow a while."""
AROUND_SECONDS = 480.0
"""Of the minutes, what is for the stack's start, the undisturbed study, and what follows the last event."""


def shape(trials: int) -> dict[str, Any]:
    """A study of so many trials. Its packs are many and narrow, since a blow costs all that is in training."""
    return {
        "model": {"kind": "mlp", "depth": 2},
        "training": {"learning_rate": 0.05, "batch_size": 16},
        "factors": {
            "activation": ["relu", "leaky_relu", "elu", "tanh", "sigmoid"],
            "normalization": ["none", "batch"],
            "model.width": [16, 20, 24, 28],
            "training.epochs": [3, 4, 5, 6, 7],
        },
        "seeds": trials // CELLS,
        "probes": {"schedule": {"points": 4}},
    }


def main() -> int:
    """The exit code."""
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the stack is stopped on the way out
    began = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {line}\n")

    home = Path(tempfile.mkdtemp(prefix="act-"))
    say(f"a stack in {home}; seed {given.seed}")
    result = run(given, home, say=say)
    account = result.account
    took = time.monotonic() - began
    clean = result.is_clean() and result.events >= given.events
    if clean:
        shutil.rmtree(home, ignore_errors=True)
    else:
        for finding in result.findings:
            say(str(finding))
        say(f"what happened is in {home / 'logs'}: chaos.jsonl, and a log for each part")
    if took > given.minutes * 60.0:
        say(f"it took longer than {given.minutes:g} minutes")
    say(f"{account.trials} trials: {account.retried} took several attempts, {account.bitwise} are the same bit by bit")
    sys.stdout.write(
        f"chaos events={result.events} lost={account.lost} duplicated={account.duplicated} "
        f"differing={account.differing} mlflow_missing={account.mlflow_missing}\n"
    )
    return 0 if clean and took <= given.minutes * 60.0 else 1


def run(given: argparse.Namespace, home: Path, *, say: Callable[[str], object]) -> "Result":
    """The hunt on a stack of its own."""
    os.environ.update(CLIENT_SETTINGS | PATIENCE)  # MLflow's client reads them when it is imported
    from chaos.hunt import hunt
    from mlflow.tracking import MlflowClient

    with started(home) as running:
        return hunt(
            running,
            shape(given.trials),
            mlflow=MlflowClient(running.address.mlflow_url),
            lease_seconds=LEASE_SECONDS,
            events=given.events,
            seconds=given.minutes * 60.0 - AROUND_SECONDS,
            seed=given.seed,
            mirror_seconds=given.minutes * 60.0,
            say=say,
            rare=True,
        )


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the blows: whom, what, and how long after each other")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--trials", type=int, default=2000, help=f"a multiple of {CELLS}")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long all of it may take, at least 10")
    given = parser.parse_args()
    if given.trials < CELLS or given.trials % CELLS:
        parser.error(f"--trials {given.trials}: give a multiple of {CELLS}")
    if given.minutes < 10.0:
        parser.error(f"--minutes {given.minutes:g}: give 10 or more")
    return given


if __name__ == "__main__":
    sys.exit(main())
