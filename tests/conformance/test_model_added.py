"""Adding a kind of network is one class, an entry in each of two tables, and its test against plain torch.

The kind added here is in no file of the product: a fully connected network in which every layer reads the inputs and
the outputs of all layers below it (Huang et al. 2017, of fully connected layers).
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from actinium.errors import InvalidInput
from actinium.frame import LaneFinished, PackFrames
from actinium.models import MODELS, HiddenLayer, ModelKind
from actinium.models.kind import ONE, Shape, WeightShapes
from actinium.study import StudySpec, expand, parse_study
from actinium.trial import TrialConfig
from services.api.catalogue import catalogue
from workers.layers import Parameters, Pass, classify
from workers.models import LANE_MODELS, build_model
from workers.models.lanes import PackedNetworks
from workers.packing import first_width, most_lanes, weight_count
from workers.preflight import looked_at, memory_bytes
from workers.training.batches import epoch_order, pack_data
from workers.training.steps import Steps
from workers.training.train import pack_layout, train_pack


class DenselyConnected(ModelKind):
    """`depth` hidden layers of `width` units, each of which reads the inputs and all layers below it."""

    kind: Literal["densely_connected"] = "densely_connected"
    depth: int = Field(default=2, ge=1, le=20)
    width: int = Field(default=8, ge=1, le=1024)

    def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
        return (HiddenLayer(self.width, self.width, 1),) * self.depth

    def weight_shapes(self, shape: Shape, outputs: int, ratio: Fraction = ONE) -> WeightShapes:
        reads = [shape[0] * shape[1] * shape[2] + number * self.width for number in range(self.depth + 1)]
        shapes: WeightShapes = {f"layer_{n:02d}": (reads[n - 1], self.width) for n in range(1, self.depth + 1)}
        return {**shapes, "classifier": (reads[-1], outputs)}


class LaneDenselyConnected(PackedNetworks):
    """All lanes of such networks."""

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        x = inputs.flatten(2)
        for layer in self.hidden_names:
            u = torch.baddbmm(self.bias(params, layer).unsqueeze(1), x, self.weight(params, layer))
            x = torch.cat([x, self.hidden(params, layer, u, pass_)], 2)
        return classify(x, params["classifier.weight"], params["classifier.bias"])


class Plain(nn.Module):
    """One such network as anybody would write it."""

    def __init__(self, inputs: int, outputs: int, depth: int, width: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(inputs + n * width, width) for n in range(depth))
        self.norms = nn.ModuleList(norm(width) for _ in range(depth))
        self.classifier = nn.Linear(inputs + depth * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.cat([x, torch.tanh(norm(layer(x)))], 1)
        found: Tensor = self.classifier(x)
        return found


NORMS: dict[str, Callable[[int], nn.Module]] = {"none": lambda _: nn.Identity(), "batch": nn.BatchNorm1d}
DOCUMENT = {
    "name": "dense",
    "task": {"train_examples": 160},
    "model": {"kind": "densely_connected", "depth": 3, "width": 6},
    "training": {"batch_size": 16, "epochs": 2, "learning_rate": 0.05, "momentum": 0.9},
    "activation": "tanh",
    "factors": {"normalization": ["batch", "none"]},
    "seeds": 2,
    "probes": {"schedule": {"points": 4}},
}


@pytest.fixture(autouse=True)
def _added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents were read before, and are read by the table as it is now."""
    with pytest.raises(InvalidInput, match="'densely_connected' is not accepted; give one of mlp, cnn"):
        parse_study(DOCUMENT)
    monkeypatch.setitem(MODELS, "densely_connected", DenselyConnected)
    monkeypatch.setitem(LANE_MODELS, "densely_connected", LaneDenselyConnected)


def configs() -> list[TrialConfig]:
    found = [config for _, config in expand(parse_study(DOCUMENT)).trials()]
    return sorted(found, key=lambda config: config.normalization.name)


def twin(config: TrialConfig, params: Parameters, lane: int) -> Plain:
    """The plain network with a lane's parameters."""
    plain = Plain(64, 10, 3, 6, NORMS[config.normalization.name]).double()
    with torch.no_grad():
        for number, layer in enumerate(plain.layers, start=1):
            assert isinstance(layer, nn.Linear)
            layer.weight.copy_(params[f"layer_{number:02d}.weight"][lane].T)
            layer.bias.zero_()
        plain.classifier.weight.copy_(params["classifier.weight"][lane])
        plain.classifier.bias.zero_()
    return plain


def test_its_lanes_train_as_the_plain_networks_do() -> None:
    lanes = configs()
    model = build_model(lanes, dtype=torch.float64)
    data = pack_data(lanes, lane_axis=model.lane_axis, device="cpu", data_root=None)
    data.shift, data.scale, data.inputs = data.shift.double(), data.scale.double(), data.inputs.double()
    plains = [twin(config, model.params, lane) for lane, config in enumerate(lanes)]
    batches = epoch_order(data, lanes, 0)[:, : 5 * 16].split(16, 1)
    Steps(model, data).train_to(5)
    for lane, plain in enumerate(plains):
        optimizer = torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9)
        for batch in batches:
            inputs, labels = data.take(batch)
            optimizer.zero_grad()
            nn.functional.cross_entropy(plain(inputs[lane].flatten(1)), labels[lane]).backward()
            optimizer.step()
    inputs, _ = data.take(data.test[:, :50])
    found = model.forward(model.params, inputs, Pass.evaluation())
    for lane, plain in enumerate(plains):
        expected = plain.eval()(inputs[lane].flatten(1))
        torch.testing.assert_close(found[lane], expected, rtol=1e-9, atol=1e-10)


def test_it_is_studied_like_any_other() -> None:
    lanes = configs()
    assert len({config.pack_key() for config in lanes}) == 1
    assert len({config.digest() for config in lanes}) == 4
    assert TrialConfig.model_validate(lanes[0].model_dump(mode="json")) == lanes[0]
    assert StudySpec.model_validate(parse_study(DOCUMENT).model_dump(mode="json")).model == lanes[0].model
    frames, ends = [], {}
    for event in train_pack(lanes):
        if isinstance(event, PackFrames):
            frames.append(event.values)
        elif isinstance(event, LaneFinished):
            ends[event.lane] = event.summary
    series = pack_layout(lanes[0]).series
    assert {"dead_unit_rate/layer_03", "gradient_slope"} <= set(series)
    loss = series.index("validation_loss")
    assert np.all(frames[-1][:, loss] < frames[0][:, loss])
    weights = 64 * 6 + 70 * 6 + 76 * 6 + 82 * 10
    learned = {"none": weights + 3 * 6 + 10, "batch": weights + 3 * 12 + 10}
    assert [ends[lane].parameters for lane in range(4)] == [learned[c.normalization.name] for c in lanes]

    config = lanes[-1]
    assert weight_count(config) == weights
    assert 1 <= first_width(config, "cpu") <= most_lanes(config, "cpu") == 64
    (seen,) = looked_at([config], None)
    assert seen["memory_bytes"] == memory_bytes(config, learned["none"]) > 16 * weights
    assert len(seen["forward_rms"]) == 3 and seen["time_steps"] is None


def test_the_catalogue_lists_it() -> None:
    (entry,) = [model for model in catalogue()["models"] if model["name"] == "densely_connected"]
    assert entry["description"] == " ".join((DenselyConnected.__doc__ or "").split())
    assert entry["parameters"]["depth"] == {"default": 2, "accepts": "an integer at least 1 and at most 20"}


@pytest.mark.parametrize(
    ("update", "path", "words"),
    [
        ({"model": {"kind": "densely_connected", "dept": 3}}, "model.dept", "did you mean depth"),
        ({"model": {"kind": "densely_connected", "depth": 0}}, "model.depth", "greater than or equal to 1"),
        ({"model": {"kind": "gru"}}, "model.kind", "densely_connected"),
        ({"activation": "crelu"}, "factors", "this kind of model does not carry"),
        ({"initialization": "delta_orthogonal"}, "factors", "need kernels"),
        ({"initialization": "greedy_autoencoder"}, "factors", "the model is a densely_connected"),
    ],
)
def test_its_faults_are_told_at_their_paths(update: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        expand(parse_study({**DOCUMENT, **update}))
    (fault,) = caught.value.errors
    assert fault.path == path and words in fault.message


def test_a_kind_that_leaves_out_a_fact_cannot_be_made() -> None:
    class Forgetful(ModelKind):
        kind: Literal["forgetful"] = "forgetful"

        def hidden(self, shape: Shape, ratio: Fraction = ONE) -> tuple[HiddenLayer, ...]:
            return ()

    with pytest.raises(TypeError, match="weight_shapes"):
        Forgetful()
