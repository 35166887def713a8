"""24 small trials, measured and tracked: this service, a hand-written script, and Ray Tune, in one call.

python benchmarks/cpu_trials.py [REPETITIONS] [RAY_TUNE_REPETITIONS]. The grid: the digits MLP 64-128x4-10, batch 64,
20 epochs, {relu, elu} x {none, batch, layer}, 4 seeds. Every side is started first; the clock begins when it is ready:

- service: the whole stack of `actinium up`; from POST to the last trial's success, probes at the default schedule,
  results in PostgreSQL; MLflow is fed meanwhile.
- script: two processes of one thread each, the same trials, no probes, metrics of each epoch to MLflow's SQLite.
- Ray Tune: a trial a core, MLflow callback to SQLite.
- the limit: nothing but the trials' matrix products (forward, and two backward), one thread a core, all lanes together.

Sides are interleaved; medians count. Ray Tune is slow, so it is run less often.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from rivals.plain import BATCH, DEPTH, EPOCHS, GRID, MOMENTUM, RATE, SEEDS, WIDTH

from actinium.client import Client
from actinium.home import ClientFile

RIVALS = Path(__file__).parent / "rivals"
CORES = 2
STEPS = EPOCHS * (1079 // BATCH)


def study(name: str) -> dict[str, object]:
    """The grid as a study."""
    return {
        "name": name,
        "project": "benchmarks",
        "model": {"kind": "mlp", "depth": DEPTH, "width": WIDTH},
        "training": {"learning_rate": RATE, "momentum": MOMENTUM, "batch_size": BATCH, "epochs": EPOCHS},
        "factors": {"activation": ["relu", "elu"], "normalization": ["none", "batch", "layer"]},
        "seeds": SEEDS,
    }


@contextmanager
def stack(home: Path) -> Iterator[Client]:
    """The whole stack in a home of its own."""
    ports = {f"ACTINIUM_{part}_PORT": "0" for part in ("API", "DASHBOARD", "MLFLOW", "RAY")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ACTINIUM_", "RAY_", "MLFLOW_"))}
    environment = {**clean, **ports, "ACTINIUM_HOME": str(home)}
    command = [sys.executable, "-m", "services.stack"]
    try:
        subprocess.run([*command, "up", "--detach"], env=environment, check=True, capture_output=True)
        address = ClientFile.read(home)
        assert address is not None
        with Client(url=address.url, token=address.token) as client:
            yield client
    finally:
        subprocess.run([*command, "down"], env=environment, check=False, capture_output=True)


def served(client: Client, name: str) -> float:
    """This service: seconds until every trial has succeeded."""
    begun = time.perf_counter()
    answer = client.submit(study(name))
    document = client.wait(answer["id"])
    spent = time.perf_counter() - begun
    assert document["counts"]["states"]["succeeded"] == len(GRID), document["counts"]
    return spent


def clocked(*commands: list[str]) -> float:
    """Seconds from telling all of these to go until all are done; they say when they are ready."""
    processes = [
        subprocess.Popen(c, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for c in commands
    ]
    streams = [(process.stdin, process.stdout) for process in processes]
    assert all(stdin and stdout for stdin, stdout in streams)
    for _, stdout in streams:
        heard(stdout, "ready")
    begun = time.perf_counter()
    for stdin, _ in streams:
        print(file=stdin, flush=True)
    for _, stdout in streams:
        heard(stdout, "done")
    spent = time.perf_counter() - begun
    for process in processes:
        process.communicate()
    return spent


def heard(stdout: Iterator[str], word: str) -> None:
    """Reads on until a line is the word."""
    if not any(line.strip() == word for line in stdout):
        raise SystemExit(f"a rival ended before it was {word}")


def prepared_store(path: Path) -> str:
    """An MLflow store in a file, its tables made: two processes that make them at once trip over each other."""
    store = f"sqlite:///{path}"
    make = "import mlflow, sys; mlflow.set_tracking_uri(sys.argv[1]); mlflow.search_experiments()"
    subprocess.run([sys.executable, "-c", make, store], check=True, capture_output=True)
    return store


def scripted(folder: Path) -> float:
    """The hand-written script."""
    store = prepared_store(folder / "script.db")
    return clocked(*([sys.executable, str(RIVALS / "script.py"), store, str(n), str(CORES)] for n in range(CORES)))


def tuned(folder: Path) -> float:
    """Ray Tune."""
    store = prepared_store(folder / "tune.db")
    return clocked([sys.executable, str(RIVALS / "ray_tune.py"), store, str(folder / "tune")])


def products(lanes: int) -> float:
    """Seconds that one core needs for the matrix products of this many trials, trained together."""
    torch.set_num_threads(1)
    sizes = [64, *[WIDTH] * DEPTH, 10]
    inputs = [torch.randn(lanes, BATCH, n) for n in sizes[:-1]]
    weights = [torch.randn(lanes, n, m) for n, m in pairwise(sizes)]
    outputs = [torch.randn(lanes, BATCH, m) for m in sizes[1:]]
    begun = time.perf_counter()
    for _ in range(STEPS):
        for layer, (x, w, y) in enumerate(zip(inputs, weights, outputs, strict=True)):
            torch.bmm(x, w)
            torch.bmm(x.mT, y)
            if layer:
                torch.bmm(y, w.mT)
    return time.perf_counter() - begun


def limit() -> float:
    """Seconds of the products on all cores."""
    with ProcessPoolExecutor(CORES) as pool:
        return max(pool.map(products, [len(GRID) // CORES] * CORES))


def main(repetitions: int, tune_repetitions: int) -> None:
    """The sides' medians, then the line."""
    seconds: dict[str, list[float]] = {"service": [], "script": [], "ray_tune": [], "limit": []}
    folder = Path(tempfile.mkdtemp(prefix="act-"))
    try:
        with stack(folder / "home") as client:
            served(client, "warm-up")
            for repetition in range(repetitions):
                seconds["service"].append(served(client, f"timed {repetition}"))
                sides: dict[str, Callable[[], float]] = {"script": lambda: scripted(folder), "limit": limit}
                if repetition < tune_repetitions:
                    sides["ray_tune"] = lambda: tuned(folder)
                for name, side in sides.items():
                    seconds[name].append(side())
                print(" ".join(f"{name}={times[-1]:.2f}s" for name, times in seconds.items() if times), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    own, script, tune, least = (statistics.median(times) for times in seconds.values())
    ratios = {"versus_script": script / own, "versus_ray_tune": tune / own, "share_of_limit": least / own}
    print("bench cpu-trials " + " ".join(f"{name}={ratio:.2f}" for name, ratio in ratios.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
