"""Networks of 3x3 convolutions from image to image, lane-first: lanes are groups of one grouped convolution.

Legend: L lanes, B examples, C channels, H, W positions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from actinium.trial import Denoiser, TrialConfig
from workers.layers import Parameters, Pass
from workers.models.lanes import PackedNetworks


class LaneDenoiser(PackedNetworks):
    """Hidden convolutions, and a last one back to the image's channels; with `residual` the image is added.

    The last one is called `classifier`, as every network's last layer is: weight [L, C, width, 3, 3], bias [L, C].
    """

    lane_axis = 1

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        model = configs[0].model
        assert isinstance(model, Denoiser)
        self._residual = model.residual
        super().__init__(configs, device=device, dtype=dtype)

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Images as rows [L, B, C H W], of inputs [B, L, C, H, W]."""
        x = inputs
        for layer in self.hidden_names:
            u = _convolved(x, params[f"{layer}.weight"], self.bias(params, layer))
            x = self.hidden(params, layer, u, pass_)
        images = _convolved(x, params["classifier.weight"], params["classifier.bias"])
        return (inputs + images if self._residual else images).transpose(0, 1).flatten(2)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """[B, L, C_out, H, W] from x [B, L, C_in, H, W], weight [L, C_out, C_in, 3, 3] and bias [L, C_out]."""
    u = functional.conv2d(x.flatten(1, 2), weight.flatten(0, 1), bias.flatten(), padding=1, groups=x.shape[1])
    return u.view(*x.shape[:2], -1, *u.shape[2:])
