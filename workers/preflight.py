"""What untrained networks do to signals and gradients: a study's cells before anybody waits for them.

`python -m workers.preflight`: standard input is `{"configs": [TrialConfig...], "data_root": PATH or null}`; standard
output has a line of JSON a config, as soon as it is known, in groups of one shape. The API runs it as a child process,
because torch stays in this room. Legend: L lanes, B examples, D hidden layers.
"""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actinium.errors import DatasetMissing
from actinium.probes import DeadUnits, GradientFlow, Probes
from actinium.trial import TrialConfig
from workers.initializations.lsuv import scale_to_unit_variance
from workers.layers import LaneModel, Pass, Trace
from workers.models import build_model
from workers.models.slices import lane_order
from workers.probes import PackProbes, probe_series
from workers.probes.gradient_slope import gradient_slope
from workers.training.batches import PackData, epoch_order, pack_data

EXAMPLES = 256
"""On which networks are looked at: their first training examples."""

OUTPUTS = 2**24
"""Most outputs of hidden layers, all examples of one lane together; larger networks see fewer examples."""

LANES = 8
"""Most networks looked at together: the first answers come soon."""

FLOAT_BYTES = 4


def examples_for(config: TrialConfig) -> int:
    """How many examples this network is shown: 256, or what OUTPUTS leaves of them, at least 16."""
    return min(EXAMPLES, config.task.train_count(), max(16, 2 * OUTPUTS // config.held()))


def memory_bytes(config: TrialConfig, parameters: int) -> int:
    """Of one trial in training, float32: each parameter four times (value, gradient, momentum, as of the last frame);
    of each hidden layer u, z and h of a batch, and the gradient of one, for each of its gates. A lower bound: what the
    kernels of torch need for themselves is not in it.
    """
    held = config.model.gates * config.held()
    return FLOAT_BYTES * (4 * parameters + 2 * config.training.batch_size * held)


def normal_data(configs: Sequence[TrialConfig], examples: int, *, lane_axis: int, shape: Sequence[int]) -> PackData:
    """Standard normal inputs, for datasets whose files are not here: what z-scored inputs have in common."""
    lanes = len(configs)
    index = torch.arange(examples).expand(lanes, -1)
    flat = (lanes, 1, 1, 1)
    return PackData(
        inputs=torch.randn(examples, *shape, generator=torch.Generator().manual_seed(0)),
        labels=torch.arange(examples) % max(1, configs[0].task.definition().classes),
        shift=torch.zeros(flat),
        scale=torch.ones(flat),
        train=index,
        validation=index,
        test=index,
        lane_axis=lane_axis,
        objective=configs[0].objective(),
    )


@torch.no_grad()
def forward_rms(model: LaneModel, inputs: Tensor) -> Tensor:
    """The root mean square of every hidden layer's outputs, [L, D] float64; statistics as in training."""
    trace = Trace()
    model.forward(model.params, inputs, Pass.measuring(trace=trace))
    axes = (1, 2) if model.lane_axis == 0 else (0, 2, 3, 4)
    return torch.stack([h.double().square().mean(axes).sqrt() for h in trace.activations], 1)


def factor(rms: Tensor) -> list[float | None]:
    """By which factor rms [L, D] changes a layer, towards the output: exp of the slope of its logarithm."""
    return [finite(math.exp(-slope)) if math.isfinite(slope) else None for slope in gradient_slope(rms).tolist()]


def finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None


def looked_at(configs: Sequence[TrialConfig], data_root: Path | None) -> list[dict[str, Any]]:
    """What networks of one model, task and batch size show, in the order given; as at step 0 of their training."""
    examples = examples_for(configs[0])
    probes = Probes(
        dead_units=DeadUnits(examples=examples),
        gradient_flow=GradientFlow(examples=max(2, examples)),
        activation_statistics=None,
    )
    places = lane_order(configs)
    ordered = [configs[place].model_copy(update={"probes": probes}) for place in places]
    model = build_model(ordered)
    try:
        data = pack_data(ordered, lane_axis=model.lane_axis, device="cpu", data_root=data_root)
        inputs = "dataset"
    except DatasetMissing:
        shape = ordered[0].task.definition().shape
        data = normal_data(ordered, examples, lane_axis=model.lane_axis, shape=shape)
        inputs = "normal"
    first_batch = epoch_order(data, ordered, 0)[:, : ordered[0].training.batch_size]
    scale_to_unit_variance(model, data.take(first_batch)[0])
    values = PackProbes(configs=ordered, model=model, data=data).measure(0)
    series = probe_series(ordered[0])
    gradients = [number for number, name in enumerate(series) if name.startswith("gradient_rms/")]
    dead = values[:, series.index("dead_unit_rate")].tolist()
    through_time = values[:, series.index("gradient_time_slope")].tolist() if "gradient_time_slope" in series else None
    backward = torch.from_numpy(values[:, gradients]).double()
    forward = forward_rms(model, data.take(data.train[:, :examples])[0])
    parameters = sum(tensor[0].numel() for tensor in model.params.values())
    found: dict[int, dict[str, Any]] = {}
    for lane, place in enumerate(places):
        slope = gradient_slope(backward[lane : lane + 1]).item()
        found[place] = {
            "forward_factor": factor(forward[lane : lane + 1])[0],
            "backward_factor": finite(math.exp(slope)) if math.isfinite(slope) else None,
            "time_factor": None if through_time is None else finite(math.exp(through_time[lane])),
            "time_steps": ordered[lane].time_steps(),
            "forward_rms": [finite(value) for value in forward[lane].tolist()],
            "gradient_rms": [finite(value) for value in backward[lane].tolist()],
            "born_dead_rate": finite(dead[lane]),
            "memory_bytes": memory_bytes(ordered[lane], parameters),
            "examples": examples,
            "inputs": inputs,
        }
    return [found[place] for place in range(len(configs))]


def preflight(configs: Sequence[TrialConfig], data_root: Path | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(place in `configs`, what was found), group by group of one model, task and batch size, small ones first."""

    def shape(place: int) -> tuple[int, str, int]:
        config = configs[place]
        shapes = json.dumps(config.shapes(), sort_keys=True)
        return config.held(), shapes + config.task.model_dump_json(), config.training.batch_size

    for _, group in groupby(sorted(range(len(configs)), key=shape), key=shape):
        places = list(group)
        for first in range(0, len(places), LANES):
            part = places[first : first + LANES]
            yield from zip(part, looked_at([configs[place] for place in part], data_root), strict=True)


def main() -> None:
    """Read, look, write a line each."""
    torch.set_num_threads(1)
    request = json.load(sys.stdin)
    root = request["data_root"]
    configs = [TrialConfig.model_validate(document) for document in request["configs"]]
    for place, found in preflight(configs, Path(root) if root else None):
        sys.stdout.write(json.dumps({"place": place, **found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
