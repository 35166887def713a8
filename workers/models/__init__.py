"""Lane-first models: one entry a kind of `actinium.trial.Model`."""

from collections.abc import Mapping, Sequence

import torch

from actinium.trial import TrialConfig
from workers.models.cnn import LaneCnn
from workers.models.mlp import LaneMlp

LANE_MODELS: Mapping[str, type[LaneMlp] | type[LaneCnn]] = {"mlp": LaneMlp, "cnn": LaneCnn}


def build_model(
    configs: Sequence[TrialConfig], *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> LaneMlp | LaneCnn:
    """The pack's networks at step 0; `configs` share a pack key and stand in `lane_order`."""
    return LANE_MODELS[configs[0].model.kind](configs, device=device, dtype=dtype)
