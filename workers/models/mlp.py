"""Fully connected networks, lane-first: all lanes' matrix products are one batched product.

Legend: L lanes, B examples, F input features, N units.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from actinium.trial import TrialConfig
from workers.layers import Parameters, Pass, classify
from workers.models.lanes import PackedNetworks


class LaneMlp(PackedNetworks):
    """Hidden layers, then a linear classifier, or an autoencoder's linear layer. With `residual`, all hidden layers but
    the first add their input to their output, or (`after_add`) to what their activation receives.
    """

    lane_axis = 0

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.residual = bool(configs[0].branches())
        self.after_add = not configs[0].model.activates_branches()
        super().__init__(configs, device=device, dtype=dtype)

    def forward(self, params: Parameters, inputs: Tensor, pass_: Pass) -> Tensor:
        """Outputs [L, B, K] of inputs [L, B, ...]."""
        x = inputs.flatten(2)
        for number in range(len(self.hidden_names)):
            x = self.layer(params, number, x, pass_)
        features = self.shifted(params, "classifier", x)
        return classify(features, params["classifier.weight"], params["classifier.bias"])

    def layer(self, params: Parameters, number: int, x: Tensor, pass_: Pass) -> Tensor:
        """The outputs [L, B, N] of hidden layer `number` (from 0), from its inputs [L, B, F]."""
        name = self.hidden_names[number]
        bias, weight = self.bias(params, name).unsqueeze(1), self.weight(params, name)
        u = torch.baddbmm(bias, self.shifted(params, name, x), weight)
        residual = self.residual and number > 0
        y = self.hidden(params, name, u, pass_, shortcut=x if residual and self.after_add else None)
        return x + y if residual and not self.after_add else y
