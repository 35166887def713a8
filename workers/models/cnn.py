"""The small convolutional network of SCIENCE B, lane-first: lanes are groups of one grouped convolution.

Legend: L lanes, B examples, C channels, H, W positions, k taps a side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from actinium.trial import Cnn, TrialConfig
from workers.layers import Parameters, Pass, classify
from workers.models.lanes import PackedNetworks


class LaneCnn(PackedNetworks):
    """conv 5x5, pool 2x2, conv 3x3, global average pool, linear classifier; convolutions keep the positions."""

    lane_axis = 1

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        model = configs[0].model
        assert isinstance(model, Cnn)
        self._pool = functional.max_pool2d if model.pooling == "max" else functional.avg_pool2d
        architecture = configs[0].architecture()
        shapes: dict[str, tuple[int, ...]] = {layer.name: layer.shape for layer in architecture.hidden()}
        shapes["classifier"] = (architecture.features(), configs[0].outputs())
        super().__init__(configs, shapes, device=device, dtype=dtype)

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Outputs [L, B, K] of inputs [B, L, C, H, W]."""
        examples, lanes = inputs.shape[:2]
        x = inputs.flatten(1, 2)
        for layer in self.hidden_names:
            weight = params[f"{layer}.weight"]
            u = functional.conv2d(
                x,
                weight.flatten(0, 1),
                self.bias(params, layer).flatten(),
                padding=weight.shape[-1] // 2,
                groups=lanes,
            )
            split = u.view(examples, lanes, -1, *u.shape[2:])
            y = self.hidden(params, layer, split, pass_)
            x = y.flatten(1, 2)
            if layer == "layer_01":
                x = self._pool(x, 2)
        pooled = x.mean(dim=(2, 3)).view(examples, lanes, -1).transpose(0, 1)
        return classify(pooled, params["classifier.weight"], params["classifier.bias"])
