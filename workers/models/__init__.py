"""Lane-first models: one entry a kind of `actinium.trial.Model`."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch

from actinium.trial import Lstm, Rnn, TrialConfig
from workers.layers import Parameters
from workers.models.cnn import LaneCnn
from workers.models.convolutional import LaneConvolutional
from workers.models.denoiser import LaneDenoiser
from workers.models.mlp import LaneMlp
from workers.models.recurrent import LaneRecurrent
from workers.models.recurrent_start import recurrent_parameter_count
from workers.models.start import parameter_count as feedforward_parameter_count

Networks: TypeAlias = LaneMlp | LaneCnn | LaneConvolutional | LaneDenoiser | LaneRecurrent

LANE_MODELS: Mapping[str, type[Networks]] = {
    "mlp": LaneMlp,
    "cnn": LaneCnn,
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
) -> Networks:
    """The pack's networks at step 0; `configs` share a pack key and stand in `lane_order`."""
    return LANE_MODELS[configs[0].model.kind](configs, device=device, dtype=dtype)


def parameter_count(config: TrialConfig, params: Parameters) -> int:
    """Numbers that a trial learns; frozen biases and what its levels do not use do not count."""
    if isinstance(config.model, Rnn | Lstm):
        return recurrent_parameter_count(config, params)
    return feedforward_parameter_count(config, params)
