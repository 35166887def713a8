"""Time of a training step per lane against the pack's width, on one CPU core: what `workers.packing` begins with.

python benchmarks/pack_widths.py [REPETITIONS]. Widths are interleaved, the least time of each counts. Inputs are
random: only shapes matter. All lanes are ReLU with batch normalization, so that widths differ in width alone.
"""

import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from actinium.datasets.table import DATASETS
from actinium.levels import Normalization
from actinium.trial import Cnn, Mlp, Task, Training, TrialConfig
from workers.layers import Pass
from workers.models import build_model
from workers.objectives import cross_entropy
from workers.training.optimizers import OPTIMIZERS

WIDTHS = (1, 2, 4, 8, 16, 32, 64)
SHAPES = {
    "mlp-digits-b64": TrialConfig(model=Mlp(depth=4, width=128)),
    "mlp-digits-b2": TrialConfig(model=Mlp(depth=4, width=128), training=Training(batch_size=2)),
    "mlp-mnist-w512-b64": TrialConfig(model=Mlp(depth=4, width=512), task=Task(dataset="mnist")),
    "cnn-digits-b64": TrialConfig(model=Cnn(width=16)),
    "cnn-mnist-b64": TrialConfig(model=Cnn(width=16), task=Task(dataset="mnist")),
    "cnn-cifar10-b64": TrialConfig(model=Cnn(width=16), task=Task(dataset="cifar10")),
}


class Step:
    """A pack that can train."""

    def __init__(self, config: TrialConfig, lanes: int) -> None:
        normalization = Normalization.of("batch")
        configs = [config.model_copy(update={"normalization": normalization, "seed": lane}) for lane in range(lanes)]
        self.model = build_model(configs)
        self.optimizer = OPTIMIZERS["sgd"](self.model.params, [c.training for c in configs])
        size = config.training.batch_size
        shape = (lanes, size) if self.model.lane_axis == 0 else (size, lanes)
        self.inputs = torch.randn(*shape, *DATASETS[config.task.dataset].shape)
        self.labels = torch.randint(10, (lanes, size))

    def seconds(self) -> float:
        """One step's processor time."""
        begun = time.process_time()
        params = self.model.params
        logits = self.model.forward(params, self.inputs, Pass.step())
        loss = cross_entropy(logits, self.labels).sum()
        gradients = torch.autograd.grad(loss, list(params.values()), materialize_grads=True)
        self.optimizer.step(params, dict(zip(params, gradients, strict=True)))
        return time.process_time() - begun


def main(repetitions: int) -> None:
    """A line a shape: microseconds per lane and step, by width."""
    torch.set_num_threads(1)
    for name, config in SHAPES.items():
        least: dict[int, float] = {}
        packs: dict[int, Step] = {}
        for width in WIDTHS:
            packs[width] = Step(config, width)
            least[width] = packs[width].seconds()
            if least[width] > 2.0:
                break
        for _ in range(repetitions):
            for width, pack in packs.items():
                least[width] = min(least[width], pack.seconds())
        figures = " ".join(f"L{width}={1e6 * seconds / width:.0f}" for width, seconds in least.items())
        print(f"bench pack-widths shape={name} {figures}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
