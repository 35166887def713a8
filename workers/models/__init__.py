"""Lane-first models: one entry a kind of `actinium.trial.Model`."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch

from actinium.trial import TrialConfig
from workers.models.cnn import LaneCnn
from workers.models.convolutional import LaneConvolutional
from workers.models.mlp import LaneMlp

Networks: TypeAlias = LaneMlp | LaneCnn | LaneConvolutional

LANE_MODELS: Mapping[str, type[Networks]] = {
    "mlp": LaneMlp,
    "cnn": LaneCnn,
    "vgg11": LaneConvolutional,
    "resnet20": LaneConvolutional,
    "resnet50": LaneConvolutional,
}


def build_model(
    configs: Sequence[TrialConfig], *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Networks:
    """The pack's networks at step 0; `configs` share a pack key and stand in `lane_order`."""
    return LANE_MODELS[configs[0].model.kind](configs, device=device, dtype=dtype)
