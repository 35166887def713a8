"""Widths of packs: wide where a lane is small, alone where it fills the cache by itself."""

import pytest

from actinium.trial import Cnn, Mlp, Model, Task, Training, TrialConfig
from workers.models import build_model
from workers.packing import pack_width, weight_count


@pytest.mark.parametrize(
    ("model", "dataset", "batch_size", "width"),
    [
        (Mlp(width=128), "digits", 64, 24),
        (Mlp(width=512), "mnist", 64, 16),
        (Mlp(width=8192), "mnist", 1024, 1),
        (Cnn(width=16), "digits", 64, 8),
        (Cnn(width=16), "digits", 2, 24),
        (Cnn(width=16), "cifar10", 64, 1),
    ],
)
def test_width_on_a_cpu(model: Model, dataset: str, batch_size: int, width: int) -> None:
    config = TrialConfig(model=model, task=Task(dataset=dataset), training=Training(batch_size=batch_size))
    assert pack_width(config, "cpu") == width


def test_networks_of_many_weights_are_packed_by_their_memory() -> None:
    config = TrialConfig(model=Mlp(depth=10, width=4096), training=Training(batch_size=2))
    assert pack_width(config, "cpu") == 1
    assert pack_width(config, "cuda:0") == 14
    assert pack_width(TrialConfig(), "cuda:0") == 256


@pytest.mark.parametrize("model", [Mlp(depth=3, width=16), Mlp(depth=1, width=5), Cnn(width=6)])
def test_weights_are_counted_as_they_are_built(model: Model) -> None:
    config = TrialConfig(model=model)
    weights = [tensor for name, tensor in build_model([config]).params.items() if name.endswith(".weight")]
    assert weight_count(config) == sum(tensor.numel() for tensor in weights)
