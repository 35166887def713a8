"""Adding a level is one entry in its table and its function: a level that no file names, in a study, trained."""

import numpy as np
import pytest
import torch

from actinium.definitions import LevelDefinition, Parameter
from actinium.frame import LaneFinished, PackFrames
from actinium.levels import ACTIVATIONS
from actinium.study import expand, parse_study
from services.api.catalogue import catalogue
from services.sink.wording import params
from workers.activations import ACTIVATION_FUNCTIONS, ActivationFunction
from workers.training.train import pack_layout, train_pack


def test_a_level_added_at_run_time_is_studied(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = LevelDefinition(
        name="snake",
        equation="z + sin(a z)^2 / a",
        derivative="1 + sin(2 a z)",
        citation="Ziyin et al. 2020",
        parameters={"a": Parameter(default=1.0, above=0.0, high=10.0, doc="frequency")},
        formula="z + sin(a * z) ** 2 / a",
    )
    function = ActivationFunction(
        forward=lambda z, level, learned: z + torch.sin(level.number("a") * z).square() / level.number("a"),
        derivative=lambda z, level, learned: 1.0 + torch.sin(2.0 * level.number("a") * z),
        steepest=lambda level, learned: 2.0,
    )
    monkeypatch.setitem(ACTIVATIONS, "snake", definition)
    monkeypatch.setitem(ACTIVATION_FUNCTIONS, "snake", function)
    written = {"name": "expression", "expr": "z + sin(a * z) ** 2 / a", "parameters": {"a": {"init": 0.5}}}
    spec = parse_study(
        {
            "name": "snakes",
            "task": {"train_examples": 160},
            "model": {"kind": "mlp", "depth": 2, "width": 16},
            "training": {"batch_size": 16, "epochs": 2, "learning_rate": 0.05},
            "factors": {"activation": ["relu", "snake", {"name": "snake", "a": 0.5}, written]},
            "seeds": 2,
            "probes": {"schedule": {"points": 4}},
        }
    )
    configs = [config for _, config in expand(spec).trials()]
    assert len({config.pack_key() for config in configs}) == 1
    frames: dict[int, list[np.ndarray]] = {lane: [] for lane in range(len(configs))}
    ends = []
    for event in train_pack(configs):
        if isinstance(event, PackFrames):
            for lane, row in zip(event.lanes, event.values, strict=True):
                frames[lane].append(row)
        elif isinstance(event, LaneFinished):
            ends.append(event.lane)
    assert sorted(ends) == list(range(8))
    series = pack_layout(configs[0]).series
    for first in (0, 4):
        relu, plain, half, spelt = (np.stack(frames[first + place]) for place in range(4))
        loss = series.index("validation_loss")
        assert half[-1, loss] < half[0, loss]
        assert not np.allclose(plain[:, loss], half[:, loss])
        assert not np.allclose(relu[:, loss], half[:, loss])
        for name in ("train_loss", "validation_loss", "dead_unit_rate"):
            place = series.index(name)
            np.testing.assert_allclose(half[:, place], spelt[:, place], rtol=1e-4)

    (entry,) = [level for level in catalogue()["activations"] if level["name"] == "snake"]
    assert entry["curve"]["derivative"][80] == 1.0
    told = params(configs[3])
    assert told["activation"] == "z + sin(a * z) ** 2 / a [a = 0.5]"
    assert told["activation.parameters.a.init"] == "0.5"
