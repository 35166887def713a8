"""Where the time of a small trial goes, how far that is from its arithmetic, and how it grows.

python benchmarks/trial_costs.py [REPETITIONS]. The trial is that of `cpu_trials.py`: the digits MLP 64-128x4-10, batch
64, 20 epochs, {relu, elu} x {none, batch, layer}. Processor time throughout, of one core, medians of interleaved
repetitions:

- products: the trial's matrix products alone, forward and two backward, as one batched call a layer;
- step: what else a training step does (activations, normalizations, loss, gradients of both, optimizer, draws);
- frames: evaluations at the schedule's points and at the end, and setting the pack up;
- probes: everything measured beside losses and errors;
- service: what the stack's other processes spend on a trial, each for itself: the dispatcher (queue and frames), the
  databases, the mirror with MLflow, the API.

Growth is measured with the default probes on, one quantity varied at a time.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import psutil
import torch
from cpu_trials import stack, study
from mlflow import MlflowClient
from rivals.plain import BATCH, DEPTH, EPOCHS, MOMENTUM, RATE, WIDTH

from actinium.client import Client
from actinium.home import ClientFile
from actinium.trial import TrialConfig
from workers.models import build_model
from workers.models.slices import lane_order
from workers.training.batches import pack_data
from workers.training.steps import Steps
from workers.training.train import train_pack

LANES = 12
OFF: Mapping[str, Any] = {"dead_units": None, "gradient_flow": None, "activation_statistics": None}
LEVELS = [(activation, normalization) for activation in ("relu", "elu") for normalization in ("none", "batch", "layer")]
PARTS = ("products", "step", "frames", "probes")


def configs(*, lanes: int = LANES, depth: int = DEPTH, width: int = WIDTH, probed: bool = True) -> list[TrialConfig]:
    """A pack of the grid's trials: all six cells before the next seed."""
    return [
        TrialConfig.model_validate(
            {
                "model": {"kind": "mlp", "depth": depth, "width": width},
                "training": {"learning_rate": RATE, "momentum": MOMENTUM, "batch_size": BATCH, "epochs": EPOCHS},
                "probes": {} if probed else OFF,
                "activation": LEVELS[lane % len(LEVELS)][0],
                "normalization": LEVELS[lane % len(LEVELS)][1],
                "seed": lane // len(LEVELS),
            }
        )
        for lane in range(lanes)
    ]


def seconds(work: Callable[[], object]) -> float:
    """Processor time."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def products(lanes: int, steps: int) -> Callable[[], None]:
    """The matrix products of training steps."""
    sizes = [64, *[WIDTH] * DEPTH, 10]
    inputs = [torch.randn(lanes, BATCH, n) for n in sizes[:-1]]
    weights = [torch.randn(lanes, n, m) for n, m in pairwise(sizes)]
    outputs = [torch.randn(lanes, BATCH, m) for m in sizes[1:]]

    def work() -> None:
        for _ in range(steps):
            for layer, (x, w, y) in enumerate(zip(inputs, weights, outputs, strict=True)):
                torch.bmm(x, w)
                torch.bmm(x.mT, y)
                if layer:
                    torch.bmm(y, w.mT)

    return work


def training_steps(pack: list[TrialConfig]) -> Callable[[], None]:
    """The pack's training steps and nothing else, from a network that is new each time."""
    ordered = [pack[lane] for lane in lane_order(pack)]

    def work() -> None:
        model = build_model(ordered)
        data = pack_data(ordered, lane_axis=model.lane_axis, device="cpu", data_root=None)
        Steps(model, data).train_to(ordered[0].steps())

    return work


def whole(pack: list[TrialConfig]) -> Callable[[], None]:
    """The pack as the service trains it."""
    return lambda: [None for _ in train_pack(pack)] and None


def parts(repetitions: int) -> dict[str, float]:
    """Seconds of a trial in a pack, by part."""
    steps = configs()[0].steps()
    sides = {
        "products": products(LANES, steps),
        "steps": training_steps(configs()),
        "unprobed": whole(configs(probed=False)),
        "whole": whole(configs()),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, work in sides.items():
            times[name].append(seconds(work) / LANES)
    till = [statistics.median(own) for own in times.values()]
    return dict(zip(PARTS, (till[0], *(after - before for before, after in pairwise(till))), strict=True))


def growth(repetitions: int) -> Iterator[str]:
    """A line for each quantity: seconds a trial by its value."""
    axes: Mapping[str, tuple[int, ...]] = {
        "lanes": (1, 3, 6, 12, 24, 48),
        "depth": (1, 2, 4, 8, 16),
        "width": (32, 64, 128, 256),
    }
    for axis, values in axes.items():
        times: dict[int, list[float]] = {value: [] for value in values}
        for _ in range(repetitions):
            for value in values:
                pack = configs(**{axis: value})
                times[value].append(seconds(whole(pack)) / len(pack))
        yield f"{axis}: " + " ".join(f"{value}={statistics.median(own):.3f}s" for value, own in times.items())


def spent(family: list[psutil.Process]) -> float:
    """Processor seconds so far."""
    found = 0.0
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found += times.user + times.system
    return found


MARKS = {
    "ray::PackTrainer": "training",
    "services.dispatcher": "dispatcher",
    "services.sink": "sink",
    "postgres": "databases",
    "mlflow": "mlflow",
    "services.api": "api",
}
"""What is found in a process's name or command line, and what the process does."""


def families(home: Path) -> dict[str, list[psutil.Process]]:
    """The stack's processes by what they do: those started in this home, and their children."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            told = [process.environ().get("ACTINIUM_HOME", ""), *process.cmdline()]
            if any(str(home) in word for word in told):
                found |= {member.pid: member for member in (process, *process.children(recursive=True))}
        except psutil.Error:
            continue
    named: dict[str, list[psutil.Process]] = {}
    for process in found.values():
        try:
            said = f"{process.name()} {' '.join(process.cmdline())}"
        except psutil.Error:
            continue
        named.setdefault(next((name for mark, name in MARKS.items() if mark in said), "rest"), []).append(process)
    return named


def mirrored(home: Path, name: str, trials: int) -> None:
    """Waits until MLflow has every trial of the study as a finished run."""
    address = ClientFile.read(home)
    assert address is not None and address.mlflow_url is not None
    client = MlflowClient(address.mlflow_url)
    while True:
        experiment = client.get_experiment_by_name(f"benchmarks/{name}")
        if experiment is not None:
            runs = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=1000)
            if len(runs) == trials:
                return
        time.sleep(1.0)


def served(client: Client, home: Path, name: str, *, seeds: int) -> tuple[int, float, dict[str, float]]:
    """A study through the stack: its trials, wall seconds a trial, and each family's processor seconds a trial."""
    before = {family: spent(processes) for family, processes in families(home).items()}
    begun = time.perf_counter()
    number = client.submit({**study(name), "seeds": seeds})["id"]
    trials = int(client.wait(number)["counts"]["states"]["succeeded"])
    wall = time.perf_counter() - begun
    mirrored(home, name, trials)
    after = {family: spent(processes) for family, processes in families(home).items()}
    return trials, wall / trials, {name: (after[name] - before.get(name, 0.0)) / trials for name in after}


def main(repetitions: int) -> None:
    """The parts, the growth, the stack's share, and the line."""
    torch.set_num_threads(1)
    seconds(whole(configs()))
    found = parts(repetitions)
    print("a trial, processor seconds: " + " ".join(f"{name}={value:.3f}" for name, value in found.items()), flush=True)
    for line in growth(max(1, repetitions - 1)):
        print(line, flush=True)
    with tempfile.TemporaryDirectory(prefix="act-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        with stack(home) as client:
            served(client, home, "warm-up", seeds=4)
            for seeds in (4, 40):
                trials, wall, shares = served(client, home, f"{seeds} seeds", seeds=seeds)
                said = " ".join(f"{name}={value:.3f}" for name, value in sorted(shares.items(), key=lambda kv: -kv[1]))
                print(
                    f"{trials} trials on two cores: {wall:.3f} s a trial; processor seconds a trial: {said}", flush=True
                )
    training = sum(found.values())
    service = sum(value for name, value in shares.items() if name not in ("training", "mlflow", "sink"))
    mirror = shares["mlflow"] + shares["sink"]
    ratios = {"products": found["products"], "probes": found["probes"], "service": service, "mirror": mirror}
    print("bench trial-costs " + " ".join(f"{name}={value / training:.2f}" for name, value in ratios.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
