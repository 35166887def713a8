"""Widths of packs: wide where a lane is small, alone where it fills the cache by itself."""

import pytest

from actinium.trial import Cnn, Mlp, Model, Task, Training, TrialConfig
from workers.packing import pack_width


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
    assert pack_width(config, "cuda:0") == 256
