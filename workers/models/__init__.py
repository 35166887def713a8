"""Lane-first networks: one entry for each kind of `actinium.models.MODELS`."""

from collections.abc import Sequence

import torch

from actinium.trial import TrialConfig
from workers.layers import Parameters
from workers.models.convolutional import LaneConvolutional
from workers.models.denoiser import LaneDenoiser
from workers.models.lanes import PackedNetworks
from workers.models.mlp import LaneMlp
from workers.models.recurrent import LaneRecurrent

LANE_MODELS: dict[str, type[PackedNetworks]] = {
    "mlp": LaneMlp,
    "cnn": LaneConvolutional,
    "vgg11": LaneConvolutional,
    "resnet20": LaneConvolutional,
    "resnet50": LaneConvolutional,
    "rnn": LaneRecurrent,
    "lstm": LaneRecurrent,
    "autoencoder": LaneMlp,
    "denoiser": LaneDenoiser,
}


def build_model(
    configs: Sequence[TrialConfig], *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> PackedNetworks:
    """The pack's networks at step 0; `configs` share a pack key and stand in `lane_order`."""
    return LANE_MODELS[configs[0].model.kind](configs, device=device, dtype=dtype)


def parameter_count(config: TrialConfig, params: Parameters) -> int:
    """How many of a pack's parameters a trial learns; frozen biases and what its levels do not use do not count."""
    return LANE_MODELS[config.model.kind].parameter_count(config, params)
