"""A captured step: the same numbers, from tensors that stay where they are, and nothing decided on the host."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from actinium.errors import InvalidInput
from actinium.frame import PackEvent, PackFrames
from actinium.trial import Cnn, Mlp, Model, Probes, Schedule, Task, Training, TrialConfig
from workers.models import build_model
from workers.models.slices import lane_order
from workers.training.batches import pack_data
from workers.training.captured import CapturedStep
from workers.training.steps import Steps
from workers.training.train import train_pack


def config(*, model: Model | None = None, training: dict[str, Any] | None = None, **levels: Any) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "task": Task(train_examples=96),
            "model": model or Mlp(depth=2, width=8),
            "training": Training.model_validate(
                {"batch_size": 16, "epochs": 2, "learning_rate": 0.05, **(training or {})}
            ),
            "probes": Probes(schedule=Schedule(points=4)),
            **levels,
        }
    )


LEVELS = [("none", "relu"), ("batch", "relu"), ("layer", "elu"), ("batch_renorm", "prelu")]


def rows(events: Iterator[PackEvent]) -> list[Any]:
    return [event.values for event in events if isinstance(event, PackFrames)]


@pytest.mark.parametrize("model", [Mlp(depth=2, width=8), Cnn(width=4)], ids=lambda model: model.kind)
def test_a_captured_pack_has_the_numbers_of_any_other(model: Model) -> None:
    """Lanes that leave included: the first squares what a step of a million made of it, which no float holds."""
    wild = config(model=model, training={"learning_rate": 1e6}, activation="half_squaring")
    configs = [wild, *(config(model=model, normalization=n, activation=a) for n, a in LEVELS[1:])]
    ours, theirs = rows(train_pack(configs, captured=True)), rows(train_pack(configs))
    assert len(ours[0]) == 4 and len(ours[-1]) == 3, "one has left"
    for own, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(own, other)


def test_every_tensor_of_a_step_stays_where_it_is() -> None:
    """What a graph records is addresses."""
    configs = [config(normalization=n, activation=a, training={"weight_decay": 0.01}) for n, a in LEVELS]
    ordered = [configs[lane] for lane in lane_order(configs)]
    model = build_model(ordered)
    steps = Steps(model, pack_data(ordered, lane_axis=model.lane_axis, device="cpu", data_root=None), captured=True)

    def tensors() -> dict[str, Tensor]:
        optimizer: Any = steps._optimizer
        return {**model.params, **model.statistics, **{f"{k}.v": v for k, v in optimizer._velocity.items()}}

    before = {name: tensor.data_ptr() for name, tensor in tensors().items()}
    loss, values = steps._loss_sum.data_ptr(), model.params["layer_01.weight"].detach().clone()
    steps.train_to(8)
    steps.start_mean()
    steps.train_to(9)
    assert {name: tensor.data_ptr() for name, tensor in tensors().items()} == before
    assert steps._loss_sum.data_ptr() == loss
    assert not torch.equal(values, model.params["layer_01.weight"])


def test_the_batch_is_one_tensor_until_lanes_leave() -> None:
    seen: list[tuple[int, list[int]]] = []
    step = CapturedStep(lambda batch: seen.append((batch.data_ptr(), batch.tolist())))
    for batch in (torch.arange(4), torch.arange(4, 8)):
        step(batch)
    assert [values for _, values in seen] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert seen[0][0] == seen[1][0]
    step.forget()
    step(torch.arange(2))
    assert seen[2][1] == [0, 1]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"training": {"optimizer": "adam"}}, "adam counts its steps on the host"),
        ({"activation": {"name": "srelu", "frozen_epochs": 1}}, "srelu thaws at a step"),
        ({"training": {"dropout": 0.5}}, "'dropout' wants to"),
        ({"activation": "rrelu"}, "'activation' wants to"),
        ({"normalization": "noisy_batch"}, "wants to"),
        ({"task": Task(train_examples=96, augmentation={"flip": True})}, "'augmentation' wants to"),
    ],
)
def test_what_is_decided_on_the_host_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        list(train_pack([config(**given)], captured=True))
