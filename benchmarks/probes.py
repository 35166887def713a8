"""What measuring costs beside training, on one CPU core: every probe at the default schedule.

python benchmarks/probes.py [REPETITIONS]. Before that, each family that is measured on request, alone. Training steps
and measurements of one pack alternate, in one process; the overhead is the schedule's measurements over the trial's
steps, by the medians of the processor time of each. Between two measurements the pack trains, so that units die and
lanes differ as they do in a study. Inputs of CIFAR-10's shape are random.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from actinium.datasets.table import DATASETS
from actinium.probes import Probes
from actinium.trial import TrialConfig
from workers.layers import Pass
from workers.models import build_model
from workers.models.slices import lane_order
from workers.objectives import cross_entropy
from workers.probes import PackProbes
from workers.training.batches import PackData, pack_data
from workers.training.evaluation import with_precise_statistics
from workers.training.optimizers import OPTIMIZERS
from workers.training.steps import Steps

AT_THE_END = -1
ACTIVATIONS = ("relu", "elu")
NORMALIZATIONS = ("none", "batch", "layer")
DOCUMENTS = {
    "cnn": ({"task": {"dataset": "cifar10"}, "model": {"kind": "cnn", "width": 16}}, (0,)),
    "mlp": ({"model": {"kind": "mlp", "depth": 4, "width": 128}}, (0, 1, 2, 3)),
}
"""The trial and the seeds of a pack: SCIENCE's small CNN on CIFAR-10, and the digits MLP of four hidden layers."""
OFF: Mapping[str, Any] = {"dead_units": None, "gradient_flow": None, "activation_statistics": None}
ON_REQUEST = [
    name
    for name, field_ in Probes.model_fields.items()
    if field_.default is None and name not in OFF and name != "filters"
]
"""Families that are off unless a study asks for them; filters are looked at once, at the end."""


def random_data(configs: list[TrialConfig], *, examples: int) -> PackData:
    """Unit-variance inputs of the dataset's shape; `examples` for each part."""
    dataset = DATASETS[configs[0].task.dataset]
    positions = torch.arange(examples).expand(len(configs), -1)
    ones = torch.ones(len(configs), 1, 1, 1)
    return PackData(
        inputs=torch.randn(examples, *dataset.shape),
        labels=torch.randint(dataset.classes, (examples,)),
        shift=torch.zeros_like(ones),
        scale=ones,
        train=positions,
        validation=positions,
        test=positions,
        lane_axis=1,
    )


def seconds(work: Callable[[], object]) -> float:
    """Processor time."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


@dataclass
class Side:
    """A pack that trains and is measured."""

    configs: list[TrialConfig]
    data: PackData
    step_times: list[float] = field(default_factory=list)
    measure_times: dict[int, list[float]] = field(default_factory=dict)
    """By step; what is measured at the end alone, under AT_THE_END."""

    def __post_init__(self) -> None:
        self.model = build_model(self.configs)
        self.optimizer = OPTIMIZERS["sgd"](self.model.params, [config.training for config in self.configs])

    def train(self) -> None:
        """One step on the next examples."""
        size, count = self.configs[0].training.batch_size, self.data.train.shape[1]
        first = len(self.step_times) * size % (count - size)
        inputs, labels = self.data.take(self.data.train[:, first : first + size])
        params = self.model.params
        logits = self.model.forward(params, inputs, Pass.step())
        loss = cross_entropy(logits, labels).sum()
        gradients = torch.autograd.grad(loss, list(params.values()), materialize_grads=True)
        self.optimizer.step(params, dict(zip(params, gradients, strict=True)))

    def repeat(self, steps_between: int) -> None:
        """The schedule once, with some steps of training before each measurement."""
        stepped = Steps(self.model, self.data).stepped
        probes = PackProbes(configs=self.configs, model=self.model, data=self.data, stepped=stepped)
        for step in self.configs[0].probe_steps():
            self.step_times += [seconds(self.train) for _ in range(steps_between)]
            self.measure_times.setdefault(step, []).append(seconds(lambda at=step: probes.measure(at)))
        recomputed = with_precise_statistics(self.model, self.data)  # the test error with them asks for it anyway
        by_others = seconds(lambda: probes.by_other_statistics(self.model, recomputed))
        self.measure_times.setdefault(AT_THE_END, []).append(by_others)

    def overhead(self) -> float:
        """Time of the schedule's measurements over that of all training steps."""
        measuring = sum(statistics.median(times) for times in self.measure_times.values())
        return measuring / (self.configs[0].steps() * statistics.median(self.step_times))


def side(name: str, probes: Mapping[str, Any]) -> Side:
    """The pack of that name, measured by these probes."""
    document, seeds = DOCUMENTS[name]
    configs = [
        TrialConfig.model_validate({**document, "probes": probes, "activation": a, "normalization": n, "seed": seed})
        for a in ACTIVATIONS
        for n in NORMALIZATIONS
        for seed in seeds
    ]
    ordered = [configs[lane] for lane in lane_order(configs)]
    if name == "mlp":
        return Side(ordered, pack_data(ordered, lane_axis=0, device="cpu", data_root=None))
    return Side(ordered[:1], random_data(ordered[:1], examples=4096))  # packs of one are this shape's fastest


def main(repetitions: int) -> None:
    """A line with both overheads of what is measured by default, and before it one a family on request."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sides = {name: side(name, {}) for name in DOCUMENTS}
    asked = {family: {name: side(name, {**OFF, family: {}}) for name in DOCUMENTS} for family in ON_REQUEST}
    for _ in range(repetitions):
        for packs in (sides, *asked.values()):
            for name, pack in packs.items():
                pack.repeat(steps_between=1 if name == "cnn" else 5)
    for family, packs in asked.items():
        print(f"on request {family} " + " ".join(f"{name}_overhead={p.overhead():.4f}" for name, p in packs.items()))
    for name, pack in sides.items():
        print(
            f"{name}: {len(pack.configs)} lanes, a step {1e3 * statistics.median(pack.step_times):.2f} ms, "
            f"{pack.configs[0].steps()} steps; measured {len(pack.measure_times)} times, "
            f"{1e3 * sum(statistics.median(times) for times in pack.measure_times.values()):.0f} ms in all"
        )
    print("bench probes " + " ".join(f"{name}_overhead={pack.overhead():.4f}" for name, pack in sides.items()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
