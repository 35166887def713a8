"""Dead units of networks that normalize by small batches, as they are trained: against the closed form and real epochs.

At batch 2 every standardized value is +1 or -1, so that a rectifier is dead in training where beta + |gamma| <= 0,
whatever its inputs. By running statistics it sees the whole range of them, and most such units look alive.
"""

from typing import Any

import numpy as np
import pytest
import torch
from golden_demo import Golden
from probe_lanes import PlainLane
from torch import Tensor
from trained import trained as rows_of

from actinium.study import expand, parse_study
from actinium.trial import TrialConfig
from workers.layers import Pass, Trace
from workers.models import build_model
from workers.models.mlp import LaneMlp
from workers.probes import PackProbes, probe_series
from workers.training.batches import PackData, epoch_order, pack_data
from workers.training.evaluation import with_precise_statistics
from workers.training.steps import Steps
from workers.training.train import pack_layout

SEEDS = (0, 1)
MARGIN = 1e-3
"""Nearer to the edge than this, eps in the square root decides."""


def trained(batch: int, normalization: Any) -> tuple[LaneMlp, PackData]:
    """Networks as the demo trains them, after two epochs."""
    configs = [
        TrialConfig.model_validate(
            {
                "model": {"kind": "mlp", "depth": 3, "width": 64},
                "training": {"learning_rate": 0.1, "learning_rate_rule": "linear", "batch_size": batch, "epochs": 2},
                "normalization": normalization,
                "probes": {"gradient_flow": None, "activation_statistics": None},
                "seed": seed,
            }
        )
        for seed in SEEDS
    ]
    model = build_model(configs)
    data = pack_data(configs, lane_axis=0, device="cpu", data_root=None)
    Steps(model, data).train_to(configs[0].steps())
    assert isinstance(model, LaneMlp)
    return model, data


def probed(model: LaneMlp, data: PackData) -> tuple[list[Tensor], dict[str, list[float]]]:
    """Which units of each layer the probe says are dead, [L, C] each, and its rates."""
    probes = PackProbes(configs=model.configs, model=model, data=data)
    rates = dict(zip(probe_series(model.configs[0]), probes.measure(model.configs[0].steps()).T.tolist(), strict=True))
    otherwise = probes.by_other_statistics(model, with_precise_statistics(model, data))
    rates |= {name: values.tolist() for name, values in otherwise.items()}
    flags = probes._pack.dead_now
    assert flags is not None
    return list(probes._pack.by_layer(flags)), rates


def dead_in_an_epoch(model: LaneMlp, data: PackData, epoch: int) -> list[Tensor]:
    """Which units of each layer no example of a real epoch's batches wakes, [L, C] each."""
    size = model.configs[0].training.batch_size
    order = epoch_order(data, model.configs, epoch)
    awake: list[Tensor] = []
    with torch.no_grad():
        for batch in order[:, : order.shape[1] // size * size].split(size, dim=1):
            trace = Trace()
            model.forward(model.params, data.take(batch)[0], Pass.measuring(trace=trace))
            seen = [(z > 0).any(1) for z in trace.preactivations]
            awake = [one | other for one, other in zip(awake, seen, strict=True)] if awake else seen
    return [~flags for flags in awake]


def edges(model: LaneMlp) -> list[Tensor]:
    """beta + |gamma| of each layer, [L, C]."""
    return [
        (model.params[f"{layer}.beta"] + model.params[f"{layer}.gamma"].abs()).detach() for layer in model.hidden_names
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "normalization"),
    [(2, "batch"), (64, {"name": "batch", "ghost_batch_size": 2})],
    ids=["batches of two", "ghosts of two"],
)
def test_at_two_examples_a_unit_is_dead_where_beta_and_gamma_say_so(batch: int, normalization: Any) -> None:
    model, data = trained(batch, normalization)
    if batch == 64:  # few steps: some shifts by hand, on both sides of the edge
        shifts = -1.6 * torch.rand(model.params["layer_01.beta"].shape, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            for layer in model.hidden_names:
                model.params[f"{layer}.beta"] += shifts
    dead, rates = probed(model, data)
    epoch = dead_in_an_epoch(model, data, epoch=7)
    decided = total = 0
    for layer, (flags, seen, edge) in enumerate(zip(dead, epoch, edges(model), strict=True), start=1):
        clear = edge.abs() > MARGIN
        assert torch.equal(flags[clear], edge[clear] <= 0), f"layer {layer}"
        assert torch.equal(flags[clear], seen[clear]), f"layer {layer}"
        decided, total = decided + int(clear.sum()), total + clear.numel()
    assert decided > 0.98 * total
    assert rates["dead_unit_rate"] == pytest.approx(torch.cat(dead, 1).double().mean(1).tolist())
    assert min(rates["dead_unit_rate"]) > 0.05, "there must be dead units"
    assert max(rates["dead_unit_rate_running"]) < 0.7 * min(rates["dead_unit_rate"]), "by running statistics many wake"


def test_at_four_examples_none_is_dead() -> None:
    """A standardized value can be anything up to the root of 3: a shift of -1 silences nobody."""
    model, data = trained(4, "batch")
    dead, rates = probed(model, data)
    assert not torch.cat(dead, 1).any() and not torch.cat(dead_in_an_epoch(model, data, epoch=7), 1).any()
    assert rates["dead_unit_rate"] == [0.0] * len(SEEDS)


def test_the_three_rates_differ_and_are_each_those_of_slow_code() -> None:
    """As trained: the probe set in batches of 2, each passed by itself. By running statistics, and by those averaged
    anew over the training examples in five batches: in eval mode.
    """
    model, data = trained(2, "batch")
    _, rates = probed(model, data)
    for lane in range(len(SEEDS)):
        index = data.train[lane]
        x = data.inputs[index] * data.scale[lane] + data.shift[lane]
        network = PlainLane(model, lane)

        def dead_share(network: PlainLane = network) -> float:
            return float(torch.cat([z.amax(0) <= 0 for z in network.z]).double().mean())

        network.as_trained(torch.cat([x, x[:1]]), batch=2)
        found = [dead_share()]
        network(x, training=False)
        found.append(dead_share())
        network.recompute_statistics(x.tensor_split(5))
        network(x, training=False)
        found.append(dead_share())
        names = ("dead_unit_rate", "dead_unit_rate_running", "dead_unit_rate_recomputed")
        assert found == pytest.approx([rates[name][lane] for name in names], abs=1.01 / 192), "a unit may tip"
        assert len(set(found)) == 3


def test_what_died_rests_on_five_frames_whatever_the_batch_size_and_the_report_says_so() -> None:
    """Ten epochs of 200 examples are 1,000, 250 and 30 steps; the study asks for six points of its own."""
    study = {
        "name": "frames",
        "task": {"train_examples": 200},
        "model": {"kind": "mlp", "depth": 2, "width": 8},
        "training": {"learning_rate": 0.1, "learning_rate_rule": "linear", "epochs": 10},
        "normalization": "batch",
        "probes": {"schedule": {"points": 6}, "gradient_flow": None, "activation_statistics": None},
        "factors": {"training.batch_size": [2, 8, 64]},
        "seeds": 2,
    }
    golden = Golden(expand(parse_study(study)))
    golden.train()
    assert sorted({row["steps"] for row in golden.rows}) == [30, 250, 1000]
    for entry in golden.report().cells:
        assert entry.metrics["settled_frames"].estimate == 5.0
        assert entry.metrics["died_rate"].n == entry.metrics["dead_at_end_rate"].n == 2
    for cell in golden.design.cells:
        (lane,), _ = rows_of([cell.config])
        steps, last = cell.config.frame_steps(), cell.config.steps()
        known = lane[:, pack_layout(cell.config).series.index("dead_unit_rate")]
        settled = [step for step, rate in zip(steps, known, strict=True) if step > 0.8 * last and np.isfinite(rate)]
        assert len(settled) >= 5
        gaps = np.diff([step for step in settled if step in cell.config.trajectory_steps()])
        assert gaps.max() - gaps.min() <= 1, "linearly spaced"
