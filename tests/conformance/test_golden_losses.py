"""Golden numbers: the training losses and the last frame of a tiny trial of every level, as they were written down.

They hold still what no oracle fixes: draws, orders, defaults, the way everything is put together. `golden_losses.json`
is of one version of torch on the CPU; a change that is meant to alter numbers writes it anew, and says what changed:

    python tests/conformance/test_golden_losses.py --write
"""

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, get_args

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

from actinium.frame import LaneFinished, PackFrames, layer_series
from actinium.levels import ACTIVATIONS, INITIALIZATIONS, NORMALIZATIONS
from actinium.models import MODELS as KINDS
from actinium.trial import Training, TrialConfig
from workers.training.train import pack_layout, train_pack

FILE = Path(__file__).with_name("golden_losses.json")
RTOL = {"train_losses": 1e-5, "frame": 1e-3}
"""Ten and four times what the order of float32 sums makes of them: without vector instructions, with AVX2 and with
AVX-512 losses of these steps differ by up to 1e-6, and what is measured at the end by up to 2.5e-4."""

Golden: TypeAlias = Mapping[str, Sequence[float | None] | Mapping[str, float | None]]
"""`train_losses`: at steps 0 to 8. `frame`: the last one, by series, of the network and its deepest hidden layer. None
stands for what is not finite."""

MLP: Mapping[str, Any] = {"kind": "mlp", "depth": 2, "width": 16}
CNN: Mapping[str, Any] = {"kind": "cnn", "width": 4}
BASES: Sequence[Mapping[str, Any]] = (
    MLP,
    {**MLP, "residual": True, "residual_activation": "after_add"},
    CNN,
)
"""A level is tried on the first on which it is a valid design; normalizations on the convolutional one too."""
GIVEN: Mapping[str, Mapping[str, Any]] = {
    "expression": {
        "expr": "z * sigmoid(beta * z)",
        "parameters": {"beta": {"init": 1.0, "learnable": True, "per": "channel"}},
    },
    "greedy_autoencoder": {"epochs": 1},
    "transfer": {"epochs": 1},
}
"""Parameters of levels that need some, or take long without."""
CALM: Mapping[str, Any] = {"task": {"scaling": "unit"}}
STEEP: Mapping[str, Mapping[str, Any]] = {"half_squaring": CALM, "two_path_square": CALM}
"""Squares soon diverge otherwise: standardized pixels that are hardly ever lit are far out."""
MODELS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {"model": {**MLP, "residual": True}},
    "cnn": {"model": {**CNN, "pooling": "average"}},
    "vgg11": {"model": {"kind": "vgg11", "width": 2}},
    "resnet20": {"model": {"kind": "resnet20", "width": 2}, "normalization": "batch"},
    "resnet50": {"model": {"kind": "resnet50", "width": 2}, "activation": "elu", "initialization": "fixup"},
    "rnn": {"model": {"kind": "rnn", "width": 8}, "task": {"dataset": "sequential_digits"}, "activation": "tanh"},
    "lstm": {"model": {"kind": "lstm", "width": 8}, "task": {"dataset": "sequential_digits"}, "activation": "tanh"},
    "autoencoder": {"model": {"kind": "autoencoder", "width": 16, "bottleneck": 4}},
    "denoiser": {"model": {"kind": "denoiser", "depth": 2, "width": 4}, "task": {"dataset": "brightness_denoising"}},
}


def config_of(**fields: Any) -> TrialConfig:
    """Eight steps, each of them measured, on a probe set of which means are taken of a part."""
    return TrialConfig.model_validate(
        {
            "model": MLP,
            "normalization": "none",
            **fields,
            "task": {"train_examples": 64, **fields.get("task", {})},
            "training": {"learning_rate": 0.01, "batch_size": 16, "epochs": 2, **fields.get("training", {})},
            "probes": {"schedule": {"points": 9, "spacing": "linear"}, "averaged_examples": 32, "unit_states": {}},
            "seed": 3,
        }
    )


def first_valid(**fields: Any) -> TrialConfig:
    """On the first base on which the level is a valid design."""
    return next(config for base in BASES if not (config := config_of(model=base, **fields)).invalid_design())


def levels() -> dict[str, TrialConfig]:
    """A trial of every level of every table, by the table's noun and the level's name."""
    found: dict[str, TrialConfig] = {}
    for noun, table in (
        ("activation", ACTIVATIONS),
        ("normalization", NORMALIZATIONS),
        ("initialization", INITIALIZATIONS),
    ):
        for name in table:
            level = {"name": name, **GIVEN.get(name, {})}
            found[f"{noun} {name}"] = first_valid(**{noun: level}, **STEEP.get(name, {}))
            if noun == "normalization" and found[f"{noun} {name}"].model.kind != "cnn":
                found[f"{noun} {name} of images"] = config_of(model=CNN, normalization=level)
    for name in get_args(Training.model_fields["optimizer"].annotation):
        regularized = {"weight_decay": 0.01, "l1": 0.001, "gradient_clip": 0.5, "dropout": 0.1}
        found[f"optimizer {name}"] = config_of(training={"optimizer": name, **regularized})
    for kind in KINDS:
        found[f"model {kind}"] = config_of(**MODELS.get(kind, {"model": {"kind": kind}}))
    return found


LEVELS = levels()


def trained(config: TrialConfig) -> Golden:
    """What comes of a trial."""
    torch.set_num_threads(1)
    events = list(train_pack([config]))
    frames = [event for event in events if isinstance(event, PackFrames)]
    assert isinstance(events[-1], LaneFinished)
    assert len(frames) == 9
    losses = [written(frame.values[0, 0].item()) for frame in frames]
    series = zip(pack_layout(config).series, frames[-1].values[0].tolist(), strict=True)
    deepest = layer_series("", len(config.layers()))
    kept = {name: written(value) for name, value in series if "/" not in name or name.endswith(deepest)}
    return {"train_losses": losses, "frame": kept}


def written(value: float) -> float | None:
    """All digits of a float32, and no more."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def numbers(golden: Golden) -> dict[str, float | None]:
    """The losses and the frame in one mapping."""
    found: dict[str, float | None] = {}
    for name, values in golden.items():
        items = values.items() if isinstance(values, Mapping) else enumerate(values)
        found |= {f"{name} {key}": value for key, value in items}
    return found


def difference(now: Golden, then: Golden) -> dict[str, str]:
    """What is not the same to rounding, in words."""
    ours, theirs = numbers(now), numbers(then)
    found = dict.fromkeys(ours.keys() - theirs.keys(), "new") | dict.fromkeys(theirs.keys() - ours.keys(), "gone")
    for name in ours.keys() & theirs.keys():
        a, b = ours[name], theirs[name]
        same = a is b if a is None or b is None else math.isclose(a, b, rel_tol=RTOL[name.split()[0]])
        if not same:
            found[name] = f"{b} -> {a}"
    return found


def stored() -> Mapping[str, Any]:
    """The file; empty where there is none."""
    found: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {"torch": None, "levels": {}}
    return found


def here() -> str:
    """torch's version, without what says how it was built."""
    return torch.__version__.split("+")[0]


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_trains_as_it_did(name: str) -> None:
    golden = stored()
    assert name in golden["levels"], f"write the golden numbers of {name!r}: python {Path(__file__).name} --write"
    if golden["torch"] != here():
        pytest.skip(f"golden numbers are of torch {golden['torch']}, and this is {here()}")
    changed = difference(trained(LEVELS[name]), golden["levels"][name])
    assert not changed, f"{name}: {changed}; if that is meant: python {Path(__file__).name} --write"


def test_no_level_is_written_down_that_is_gone() -> None:
    assert set(stored()["levels"]) <= set(LEVELS)


def write() -> Sequence[str]:
    """The file anew; what changed of each level, a line each."""
    before = stored()["levels"]
    levels = {name: trained(config) for name, config in LEVELS.items()}
    report: list[str] = []
    for name in sorted(before.keys() | levels.keys()):
        if name not in before or name not in levels:
            report.append(f"{name}: {'new' if name in levels else 'gone'}")
        elif changed := difference(levels[name], before[name]):
            few = "; ".join(f"{key} {words}" for key, words in sorted(changed.items())[:3])
            report.append(f"{name}: {len(changed)} numbers; {few}")
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(levels[name])}" for name in levels)
    FILE.write_text(f'{{"torch": "{here()}", "levels": {{\n{lines}\n}}}}\n')
    return report or ["nothing changed"]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    sys.stdout.writelines(line + "\n" for line in write())
